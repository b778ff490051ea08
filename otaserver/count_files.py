"""The files that the processes of this host count in, which no full disk may turn against them.

The library that counts writes into maps of files with holes. Where the disk has no block for a hole the kernel ends the
process (SIGBUS), and each that is started after it. Here a file has its blocks before it is mapped. Where there are
none its process counts in its own memory: `/metrics` lacks that, and vehicles are answered.
"""

import os
import secrets
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

# More than all that one process counts takes; it may grow all the same.
BYTES = 256 * 1024
_Library: Any = MmapedDict


class CountFile(_Library):  # type: ignore[misc]
    """Takes the place of the library's own; not safe for threads, as that is not."""

    _f: Any
    _m: Any

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if read_mode or _has_blocks(Path(filename)):
            super().__init__(filename, read_mode)
            return
        handle = os.memfd_create("counts")
        try:
            super().__init__(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)

    def _init_value(self, key: str) -> None:
        # Its text, what pads that, and three numbers.
        if self._used + len(key.encode()) + 32 > self._capacity:
            try:
                os.posix_fallocate(self._f.fileno(), 0, 2 * self._capacity)
            except OSError:
                self._leave_for_memory()
        super()._init_value(key)

    def _leave_for_memory(self) -> None:
        """Go on in memory; the file ends as it is."""
        memory = os.fdopen(os.memfd_create("counts"), "r+b", buffering=0)
        memory.write(self._m[:])
        self.close()
        self._f, self._m = memory, mmap(memory.fileno(), self._capacity)


def _has_blocks(path: Path) -> bool:
    """Give the file all of its blocks, an old one too, and return whether it has them."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(path if path.exists() else new, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, max(BYTES, os.fstat(handle).st_size))
        finally:
            os.close(handle)
        if new.exists():
            # Whoever collects may look just now: no file without a beginning.
            new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        return False
    return True
