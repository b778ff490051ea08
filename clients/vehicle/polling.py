"""The idle cycle: one conditional request for the Director's timestamp. Everything else follows from a change in it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tuf.api.metadata import Metadata, Targets, Timestamp

from clients.vehicle.errors import NotNowError
from clients.vehicle.health import read_wanted
from clients.vehicle.order import Order, format_time, parse_time, read_order
from clients.vehicle.schedule import DAY_SECONDS
from clients.vehicle.server import PollAnswer, Server
from clients.vehicle.state import State
from clients.vehicle.trust import TrustStore
from clients.vehicle.verification import Verifier


@dataclass(frozen=True)
class _Prefetched:
    """A server whose answer for the Director's timestamp is already here."""

    server: Server
    timestamp: bytes

    def metadata(self, repository: str, filename: str, max_length: int) -> bytes | None:
        if (repository, filename) == ("director", "timestamp.json"):
            return self.timestamp
        return self.server.metadata(repository, filename, max_length)


class Polling:
    """Keeps the trusted order up to date."""

    def __init__(self, *, server: Server, store: TrustStore, verifier: Verifier, state: State) -> None:
        self._server = server
        self._store = store
        self._verifier = verifier
        self._state = state
        self.order: Order | None = None
        self.wants_manifest = False
        self.timestamp_sha256 = ""  # of the Director's timestamp that is trusted
        self.wanted_signals: tuple[str, ...] = ()
        self._timestamp = b""
        self._expires_at: datetime | None = None
        self._load()

    def poll(
        self, at: datetime, *, is_fresh: bool, counters: dict[str, int], wants_images: Callable[[Order], bool]
    ) -> None:
        """Bring `order` up to date; `is_fresh` demands the timestamp itself, not "unchanged".

        Raises:
            NotNowError, VerificationError: nothing changed.
        """
        memory = self._state.memory
        now = self._verifier.trusted_time(at)
        is_settled = self._expires_at is not None and now < self._expires_at and not self._are_roots_due(now)
        etag = memory.etag if is_settled and not is_fresh and self._is_etag_ours() else ""
        answer = self._server.poll(etag)
        self._take_wishes(answer)
        if answer.body is None:
            if not etag:
                raise NotNowError("answer.invalid", "not modified, although nothing was said to be known.")
            return
        if not is_settled or answer.body != self._timestamp:
            source = _Prefetched(self._server, answer.body)
            self.order = self._verifier.verify(source, at=at, counters=counters, wants_images=wants_images)
            memory.roots_checked_at = format_time(now)
            self._load_timestamp()
        # Verifying may have told a later time.
        memory.verified_at = format_time(self._verifier.trusted_time(at))
        memory.refusal = ""
        memory.etag, memory.etag_sha256 = answer.etag, hashlib.sha256(answer.body).hexdigest()

    def _are_roots_due(self, now: datetime) -> bool:
        checked = self._state.memory.roots_checked_at
        return not checked or abs(now - parse_time(checked)) >= timedelta(seconds=DAY_SECONDS)

    def _is_etag_ours(self) -> bool:
        return self._state.memory.etag_sha256 == self.timestamp_sha256

    def _take_wishes(self, answer: PollAnswer) -> None:
        if answer.polling_seconds:
            self._state.memory.polling_seconds = answer.polling_seconds
        self.wants_manifest = answer.wants_manifest
        self.wanted_signals = read_wanted(answer.wanted_signals)

    def _load(self) -> None:
        """Take up what earlier runs have verified."""
        self._load_timestamp()
        targets = self._store.read("director", "targets.json")
        if targets is not None:
            self.order = read_order(Metadata[Targets].from_bytes(targets).signed)

    def _load_timestamp(self) -> None:
        self._timestamp = self._store.read("director", "timestamp.json") or b""
        self.timestamp_sha256 = hashlib.sha256(self._timestamp).hexdigest()
        if self._timestamp:
            self._expires_at = Metadata[Timestamp].from_bytes(self._timestamp).signed.expires
