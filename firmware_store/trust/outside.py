"""What the server keeps outside its database, beside the online keys: what must survive a database that is lost.

Below `settings.ONLINE_KEYS/<tenant>/`:

| file | what it says |
|---|---|
| `issued/<repository>-<number>` | empty; versions of online metadata up to that number may have been given out |
| `published/<repository>.<role>.<version>.json` | what people have signed, as it was published, by profile |

And `restore-unfinished`, for as long as a restore has begun and not come to its end: nothing starts while it is there.

Nothing else here is ever changed or needs a lock: a mark says it all by its name, so that two processes, or two hosts
on one network file system, can only write the same. Hosts with folders of their own each note what they themselves
signed; then the highest of all counts.
"""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from firmware_store.states import Profile, Repository
from firmware_store.trust.errors import OutsideUnwritableError, RestoreUnfinishedError
from otaserver.tenants.models import Tenant

# Versions are reserved in so many at a time: a vehicle that is signed for daily takes years to use them up.
BLOCK = 1000
# Who publishes root and all targets of the Image repository, by the names that its other roles have.
_ONLINE = {(Repository.IMAGE, "snapshot"), (Repository.IMAGE, "timestamp")}

# By the file of the mark without its number: what this process knows to be on the disk.
_noted: dict[Path, int] = {}


def note_issued(tenant: Tenant, repository: str, version: int) -> None:
    """Return once the disk knows that versions up to this one may be given out; call it before one is.

    Raises:
        OutsideUnwritableError: the mark cannot be written.
    """
    marks = folder(tenant.name) / "issued" / repository
    if version <= _noted.get(marks, 0):
        return
    number = -(-version // BLOCK) * BLOCK
    _write(marks.with_name(f"{repository}-{number}"), b"")
    _noted[marks] = number


def highest_issued(tenant: Tenant, repository: str) -> int:
    """Return the highest version that may have been given out, by the marks in this folder; 0: there is none."""
    found = (folder(tenant.name) / "issued").glob(f"{repository}-*")
    return max((int(path.name.rpartition("-")[2]) for path in found), default=0)


def note_restore() -> None:
    """Return once the disk knows that a restore has begun.

    Raises:
        OutsideUnwritableError: the mark cannot be written.
    """
    _write(_unfinished(), b"")


def note_restored() -> None:
    """Note that versions are above all that vehicles have seen, so that processes may start again."""
    _unfinished().unlink(missing_ok=True)


def require_restored() -> None:
    """Let a process start.

    Raises:
        RestoreUnfinishedError: a restore was begun and has not come to its end.
    """
    if _unfinished().exists():
        raise RestoreUnfinishedError(
            f"A restore was interrupted ({_unfinished()} is there): vehicles have seen more than this database knows. "
            "Repeat `manage.py restore`, or where the database is whole `manage.py after_restore`."
        )


def _unfinished() -> Path:
    return root() / "restore-unfinished"


def tenants_noted() -> set[str]:
    """Return the tenants of which anything is noted here, be they in the database or not."""
    return {path.parent.name for path in root().glob("*/issued")}


def keep_published(tenant: Tenant, repository: str, role: str, version: int, bodies: Mapping[Profile, bytes]) -> None:
    """Keep what people have signed; online metadata is made anew when it is needed, and not kept.

    A version that is there already was never committed, or is the same: the later one counts.

    Raises:
        OutsideUnwritableError: it cannot be written.
    """
    if (repository, role) in _ONLINE:
        return
    text = json.dumps({profile: body.decode("ascii") for profile, body in bodies.items()})
    _write(folder(tenant.name) / "published" / f"{repository}.{role}.{version}.json", text.encode())


def published(tenant: Tenant, repository: str, role: str, *, after: int) -> dict[int, dict[Profile, bytes]]:
    """Return the kept bodies of a role whose versions are above `after`, by version."""
    return dict(sorted(_published(tenant, repository, role, after)))


def _published(tenant: Tenant, repository: str, role: str, after: int) -> Iterator[tuple[int, dict[Profile, bytes]]]:
    for path in (folder(tenant.name) / "published").glob(f"{repository}.{role}.*.json"):
        version = int(path.name.split(".")[2])
        if version > after:
            bodies = json.loads(path.read_text())
            yield version, {Profile(name): body.encode("ascii") for name, body in bodies.items()}


def folder(tenant: str) -> Path:
    """Return where everything of a tenant is kept, its online keys too."""
    return root() / tenant


def root() -> Path:
    """Return the folder of all that is kept outside the database."""
    return Path(settings.ONLINE_KEYS)


def _write(path: Path, content: bytes) -> None:
    """Put a file where it is read whole or not at all, and on the disk before this returns."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync(path.parent)
        _sync(path.parent.parent)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise OutsideUnwritableError(
            f"{path} cannot be written ({error.strerror}), and without it nothing may be signed.", place=str(path)
        ) from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
