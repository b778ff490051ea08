"""Files that survive a power cut: each write is complete or absent."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clients.vehicle.errors import NotNowError

# EFBIG and EDQUOT are other ways of a file system to say that no more fits.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def pass_checkpoint(_name: str) -> None:
    """Do nothing at a checkpoint: what vehicles do."""


@contextmanager
def full_disk_is_not_now() -> Iterator[None]:
    """Turn a full disk into `NotNowError("disk_full")`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NotNowError("disk_full", f"no space left for {error.filename or 'data'}") from error


class Disk:
    """Durable writes. `checkpoint` is called around each, with a name: the seam where tests pull the plug.

    Without `is_durable` nothing is forced out of the page cache: for simulated fleets, which survive no power cut.
    """

    def __init__(self, checkpoint: Callable[[str], None] = pass_checkpoint, *, is_durable: bool = True) -> None:
        self.checkpoint = checkpoint
        self._is_durable = is_durable

    def sync(self, path: Path) -> None:
        """Force a file or a directory out of the page cache."""
        if self._is_durable:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def write(self, path: Path, data: bytes, *, mode: int = 0o644) -> None:
        """Replace `path` with `data`, durably; after a crash it holds the old content or the new."""
        temporary = path.with_name(f".{path.name}.new")
        with full_disk_is_not_now():
            try:
                self._write_new(temporary, data, mode)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            self.checkpoint(f"before {path.name}")
            os.replace(temporary, path)
            self.sync(path.parent)
        self.checkpoint(f"after {path.name}")

    def write_json(self, path: Path, document: Any, *, mode: int = 0o644) -> None:
        self.write(path, json.dumps(document, sort_keys=True, indent=1).encode(), mode=mode)

    def make_directory(self, path: Path) -> None:
        """Make `path` and what is missing above it; what is in it later is found after a power cut, too."""
        with full_disk_is_not_now():
            if not path.parent.is_dir():
                self.make_directory(path.parent)
            path.mkdir(exist_ok=True)
            # Even if it was there: the one who made it may have been cut off before this.
            self.sync(path.parent)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.sync(path.parent)
        self.checkpoint(f"removed {path.name}")

    def remove_tree(self, path: Path) -> None:
        if path.exists():
            shutil.rmtree(path)

    def _write_new(self, path: Path, data: bytes, mode: int) -> None:
        # A file left by a crash may have another mode.
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        self.sync(path)


def read_json(path: Path) -> Any:
    """Read a file that this client wrote; None if there is none."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
