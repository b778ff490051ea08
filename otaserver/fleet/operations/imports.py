"""A file with which a fleet arrives: received whole, then taken in batch by batch by whoever runs it.

Everything may be done twice: a run that dies is begun again from the front, and changes only what is still to change.
"""

import hashlib
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import IO, Protocol

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q

from otaserver.audit import operations as audit
from otaserver.errors import TooLargeError
from otaserver.fleet import arrival_rules
from otaserver.fleet.arrival_models import FleetImport, FleetImportProblem
from otaserver.fleet.arrival_rules import Arrival, Problem
from otaserver.fleet.errors import ImportRefusedError
from otaserver.fleet.models import Attribute
from otaserver.fleet.operations.arrival_batches import Counts
from otaserver.fleet.operations.arrivals import take_in
from otaserver.fleet.states import ImportKind, ImportState
from otaserver.tenants.models import Tenant

BATCH_LINES = 2000
MAX_IMPORT_BYTES = 2 * 1024**3
MAX_PROBLEMS = 10_000
# A run writes down how far it is with each batch; one that does not for so long has died.
STALE = timedelta(minutes=5)
# So young a file may be one that is being received right now.
_LEFT_FOR = timedelta(hours=24)
_FOLDER = "imports"
_BLOCK_BYTES = 256 * 1024


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def begin_import(
    tenant: Tenant, stream: Readable, *, filename: str, kind: str, is_dry_run: bool, by: str, at: datetime
) -> FleetImport:
    """Receive a file of vehicles, and return it ready to be run.

    Raises:
        ImportRefusedError: it is of no known kind, is empty, or has a name that cannot be shown.
        TooLargeError: more than MAX_IMPORT_BYTES.
    """
    if kind not in ImportKind.values:
        raise ImportRefusedError(f"A file is one of {', '.join(ImportKind.values)}; {kind[:40]!a} is not.")
    if not 1 <= len(filename) <= 255 or not filename.isprintable():
        raise ImportRefusedError("A file's name is 1 to 255 printable characters.")
    stored_as = f"{_FOLDER}/{uuid.uuid4().hex}"
    with tempfile.TemporaryFile() as file:
        length, sha256 = _receive(stream, file)
        if not length:
            raise ImportRefusedError("The file is empty.")
        file.seek(0)
        default_storage.save(stored_as, File(file))
    return FleetImport.objects.create(
        tenant=tenant,
        kind=kind,
        is_dry_run=is_dry_run,
        filename=filename,
        stored_as=stored_as,
        sha256=sha256,
        length=length,
        created_by=by,
        created_at=at,
    )


def due_imports(*, at: datetime) -> list[int]:
    """Return the ids of the files that wait to be taken in, or whose run has died, oldest first."""
    return list(FleetImport.objects.filter(_due(at)).order_by("pk").values_list("pk", flat=True))


def run_import(import_id: int, *, now: Callable[[], datetime]) -> FleetImport | None:
    """Take a file in, if it is due, and return it; of several at once, one runs it and the others return None.

    `now` is asked for each batch: a run of a million lines takes minutes.
    """
    at = now()
    claimed = FleetImport.objects.filter(_due(at), pk=import_id).update(
        state=ImportState.RUNNING, seen_at=at, done_bytes=0, counts={}
    )
    if not claimed:
        return None
    row = FleetImport.objects.select_related("tenant").get(pk=import_id)
    row.problems.all().delete()
    try:
        with default_storage.open(row.stored_as, "rb") as file:
            is_done = _Run(row, now).take_in(file)
    except FileNotFoundError:
        end_import(row, "The file is gone.", at=now())
        return row
    if is_done:
        _finish(row, at=now())
    return row


def end_import(row: FleetImport, reason: str, *, at: datetime) -> None:
    """Give a file up that cannot be taken in; what was taken in of it stays.

    Raises:
        InvalidTransitionError, StaleStateError: it is not being run.
    """
    row.move_to(ImportState.FAILED, finished_at=at, failed_reason=reason)
    default_storage.delete(row.stored_as)


def remove_left_files(*, now: datetime) -> int:
    """Delete files that wait for no import any more, left by a crash, once they are a day old; return how many.

    They may hold tokens and claim codes. Repeating finds nothing.
    """
    try:
        names = [f"{_FOLDER}/{name}" for name in default_storage.listdir(_FOLDER)[1]]
    except FileNotFoundError:
        return 0
    waiting = FleetImport.objects.filter(state__in=[ImportState.WAITING, ImportState.RUNNING])
    left = sorted(set(names) - set(waiting.values_list("stored_as", flat=True)))
    old = [name for name in left if default_storage.get_modified_time(name) <= now - _LEFT_FOR]
    for name in old:
        default_storage.delete(name)
    return len(old)


@transaction.atomic
def _finish(row: FleetImport, *, at: datetime) -> None:
    row.move_to(ImportState.FINISHED, finished_at=at, done_bytes=row.length)
    if not row.is_dry_run:
        audit.record(
            "fleet.imported", row, tenant=row.tenant, by=row.created_by, at=at, sha256=row.sha256, **row.counts
        )
    transaction.on_commit(lambda: default_storage.delete(row.stored_as))


@dataclass
class _Run:
    """One run through a file."""

    row: FleetImport
    now: Callable[[], datetime]
    counts: Counts = field(default_factory=Counts)
    new_groups: set[str] = field(default_factory=set)

    def take_in(self, file: IO[bytes]) -> bool:
        """Return whether the run came to its end; another took over where it did not."""
        declared = dict(Attribute.objects.filter(tenant=self.row.tenant).values_list("name", "type"))
        lines = arrival_rules.read(file, ImportKind(self.row.kind), declared)
        with _Seen() as seen:
            for batch in _batches(lines):
                if not self._take(batch, seen, done_bytes=file.tell()):
                    return False
        return True

    def _take(self, batch: list[Arrival | Problem], seen: "_Seen", *, done_bytes: int) -> bool:
        at = self.now()
        problems = [one for one in batch if isinstance(one, Problem)]
        arrivals = []
        for one in batch:
            if isinstance(one, Arrival):
                repeated = seen.repeated(one)
                problems += [repeated] if repeated else []
                arrivals += [] if repeated else [one]
        found, left_out = take_in(
            self.row.tenant, arrivals, new_groups=self.new_groups, at=at, is_dry_run=self.row.is_dry_run
        )
        found.lines += len(problems)
        found.refused += len(problems)
        self._keep([*problems, *left_out])
        self.counts.add(found)
        return self._write_down(done_bytes)

    def _keep(self, problems: Iterable[Problem]) -> None:
        room = max(0, MAX_PROBLEMS - self.counts.refused)
        kept = sorted(problems, key=lambda one: one.line)[:room]
        FleetImportProblem.objects.bulk_create(
            FleetImportProblem(fleet_import=self.row, line=one.line, code=one.code, value=one.value, rule=one.rule)
            for one in kept
        )

    def _write_down(self, done_bytes: int) -> bool:
        before, self.row.seen_at = self.row.seen_at, self.now()
        self.row.done_bytes, self.row.counts = done_bytes, asdict(self.counts)
        mine = FleetImport.objects.filter(pk=self.row.pk, state=ImportState.RUNNING, seen_at=before)
        return bool(mine.update(seen_at=self.row.seen_at, done_bytes=done_bytes, counts=self.row.counts))


class _Seen:
    """What a file has named so far, on disk and not in memory: each vehicle, serial and claim code comes once."""

    def __enter__(self) -> "_Seen":
        # A name that is empty: SQLite keeps it in a temporary file of its own.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE seen (word TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def repeated(self, arrival: Arrival) -> Problem | None:
        """Return what of a line has been named before; where nothing has, remember the line."""
        words = [("vehicle", arrival.vehicle_id)]
        words += [("ecu", ecu.serial) for ecu in arrival.ecus]
        if arrival.claim_code:
            plain = arrival.claim_code.replace("-", "").replace(" ", "").upper()
            words.append(("claim", hashlib.sha256(plain.encode()).hexdigest()))
        for noun, word in words:
            found = self._database.execute("SELECT line FROM seen WHERE word = ?", [f"{noun} {word}"]).fetchone()
            if found:
                shown = "" if noun == "claim" else word
                return Problem(arrival.line, f"{noun}.repeated", shown, f"Line {found[0]} names it already.")
        rows = [(f"{noun} {word}", arrival.line) for noun, word in words]
        self._database.executemany("INSERT INTO seen VALUES (?, ?)", rows)
        return None


def _due(at: datetime) -> Q:
    return Q(state=ImportState.WAITING) | Q(state=ImportState.RUNNING, seen_at__lte=at - STALE)


def _batches(lines: Iterator[Arrival | Problem]) -> Iterator[list[Arrival | Problem]]:
    batch: list[Arrival | Problem] = []
    for line in lines:
        batch.append(line)
        if len(batch) == BATCH_LINES:
            yield batch
            batch = []
    if batch:
        yield batch


def _receive(stream: Readable, file: IO[bytes]) -> tuple[int, str]:
    length, hashed = 0, hashlib.sha256()
    while block := stream.read(_BLOCK_BYTES):
        length += len(block)
        if length > MAX_IMPORT_BYTES:
            raise TooLargeError(f"The file exceeds {MAX_IMPORT_BYTES} bytes.", limit=MAX_IMPORT_BYTES)
        hashed.update(block)
        file.write(block)
    file.flush()
    return length, hashed.hexdigest()
