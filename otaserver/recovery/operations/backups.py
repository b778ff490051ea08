"""Everything that a server is, in one folder, and a server out of it."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.management import call_command

from firmware_store import blobs
from firmware_store.models import Package
from firmware_store.states import PackageState
from firmware_store.trust import outside
from otaserver.recovery import databases
from otaserver.recovery.errors import BackupRefusedError
from otaserver.recovery.operations import raising
from otaserver.tenants.models import Tenant

DESCRIPTION = "backup.json"
KEYS = "online-keys"
PACKAGES = "packages"
SECRETS = "secrets.json"


@dataclass(frozen=True)
class Description:
    """What a backup says of itself: when its database was as it is, and how many files of packages lie beside it."""

    at: str
    database: str
    tenants: list[str]
    packages: int
    packages_stored: int


def back_up(folder: Path, *, with_packages: bool, at: datetime) -> Description:
    """Write the database, the online keys with what lies beside them and, if wanted, the packages into a new folder.

    The server may run meanwhile. The folder is there when all of it is on the disk, and not before; it holds secrets.
    Of one that fails nothing is left: the disk may be full, and the server needs it.

    Raises:
        BackupRefusedError: something is there already, or cannot be written there.
        ToolFailedError: the database cannot be written.
    """
    if folder.exists():
        raise BackupRefusedError(f"{folder} is there already; a backup is a new folder.")
    making = folder.with_name(f".{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    try:
        making.mkdir(mode=0o700, parents=True)
        described = _write(making, with_packages=with_packages, at=at)
        making.replace(folder)
    except OSError as error:
        raise BackupRefusedError(f"{folder} cannot be written: {error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return described


def _write(making: Path, *, with_packages: bool, at: datetime) -> Description:
    # The database first: whatever it names is made before it is named, and so is there to be copied afterwards.
    databases.dump(settings.DATABASES["default"], making)
    needed = list(_needed())
    stored = sum(_save_package(making / PACKAGES, *each) for each in needed) if with_packages else 0
    if outside.root().exists():
        # What is being written just now has a name that begins with a dot, and may be gone in a moment.
        shutil.copytree(outside.root(), making / KEYS, ignore=shutil.ignore_patterns(".*"))
    if (settings.VAR_DIR / SECRETS).exists():
        shutil.copy2(settings.VAR_DIR / SECRETS, making / SECRETS)
    names = sorted(Tenant.objects.values_list("name", flat=True))
    vendor = databases.vendor(settings.DATABASES["default"])
    described = Description(at.isoformat(), vendor, names, len(needed), stored)
    (making / DESCRIPTION).write_text(json.dumps(asdict(described), indent=1))
    os.sync()
    return described


def restore(folder: Path, *, above: int | None, at: datetime) -> list[raising.Recovered]:
    """Put a backup in the place of this server's database, and make it good for vehicles (`raising.recover`).

    Online keys, marks and packages that are here stay: only what is missing comes out of the backup. Nothing else may
    use the database meanwhile. Repeating does it again.

    Raises:
        BackupRefusedError: the folder is no backup, one of another kind of database, or cannot be read by this user.
        ServerRunningError, ToolFailedError: as `databases.load`.
        OtaError: as `raising.recover`; the database is the old one by then, and `after_restore` goes on.
    """
    describe(folder)
    try:
        _copy_missing(folder / KEYS, outside.root())
        _bring_packages(folder / PACKAGES)
    except OSError as error:
        raise BackupRefusedError(f"What is in {folder} cannot be brought here: {error}") from error
    # Marked until it is recovered: what starts by itself after a power cut must not serve an old database.
    databases.load(settings.DATABASES["default"], folder, begins=outside.note_restore)
    call_command("migrate", interactive=False, verbosity=0)
    return raising.recover(above=above, at=at)


def describe(folder: Path) -> Description:
    """Return what a backup says of itself.

    Raises:
        BackupRefusedError: it is none, or of another kind of database than this server's.
    """
    try:
        found = Description(**json.loads((folder / DESCRIPTION).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BackupRefusedError(f"{folder} is no whole backup: {type(error).__name__} with {DESCRIPTION}.") from error
    vendor = databases.vendor(settings.DATABASES["default"])
    if found.database != vendor:
        raise BackupRefusedError(f"{folder} is of {found.database}; this server's database is {vendor}.")
    return found


def has_other_secrets(folder: Path) -> bool:
    """Return whether the backup is of an embedded server that has sealed with another secret key than this one's.

    It stays where it is: a secret may have been replaced since because it was stolen.
    """
    kept = folder / SECRETS
    if settings.IS_PRODUCTION or not kept.exists():
        return False
    return bool(json.loads(kept.read_text())["secret_key"] != settings.SECRET_KEY)


def _needed() -> Iterator[tuple[str, int]]:
    rows = Package.objects.filter(state__in=[PackageState.PUBLISHED, PackageState.WITHDRAWN])
    yield from rows.values_list("sha256", "length").order_by("sha256").distinct()


def _save_package(folder: Path, sha256: str, length: int) -> bool:
    if not blobs.has_blob(sha256, length=length):
        return False
    path = folder / blobs.blob_path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    with blobs.open_blob(sha256) as read, path.open("wb") as written:
        shutil.copyfileobj(read, written, blobs.BLOCK_BYTES)
    return True


def _bring_packages(folder: Path) -> None:
    for path in folder.glob("??/??/*"):
        if not blobs.has_blob(path.name, length=path.stat().st_size):
            name = blobs.blob_path(path.name)
            default_storage.delete(name)
            with path.open("rb") as file:
                default_storage.save(name, File(file))


def _copy_missing(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not copy.exists():
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whole or not at all: a part of a key would stay when a restore that was interrupted is repeated.
            new = copy.with_name(f".{copy.name}.{secrets.token_hex(8)}")
            shutil.copy2(path, new)
            with new.open("rb") as file:
                os.fsync(file.fileno())
            new.replace(copy)
