"""Image downloads that survive cuts and restarts.

Files are named by hash; nothing that is not verified has a final name.
"""

import hashlib
import io
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from clients.vehicle.disk import Disk, full_disk_is_not_now, read_json
from clients.vehicle.errors import NotNowError, Reason, VerificationError
from clients.vehicle.server import Server, etag_of
from clients.vehicle.slots import Image, blocks

PROGRESS_SECONDS = 30.0


class Downloads:
    """The directory of downloads of one vehicle."""

    def __init__(
        self, directory: Path, server: Server, disk: Disk, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._server = server
        self._disk = disk
        self._monotonic = monotonic

    def path(self, image: Image) -> Path:
        return self._directory / image.sha256

    def clear(self) -> None:
        """Drop everything, finished or not."""
        self._disk.remove_tree(self._directory)

    def fetch(self, image: Image, on_progress: Callable[[int], None]) -> None:
        """Download and verify `image`, going on where an earlier try stopped. `on_progress` gets a percentage.

        Raises:
            NotNowError: cut, slow, or the disk is full.
            VerificationError: all bytes are here and they are wrong, or there are too many.
            RejectedError: the server will not give it.
        """
        if self.path(image).exists():
            return
        self._disk.make_directory(self._directory)
        partial = _Partial(self.path(image), image, self._disk)
        was_resumed = partial.resume()
        try:
            self._receive(partial, on_progress)
        except VerificationError:
            partial.discard()
            if not was_resumed:
                raise
            # The first part may be from another time: once more, all of it.
            self._receive(partial, on_progress)

    def _receive(self, partial: "_Partial", on_progress: Callable[[int], None]) -> None:
        image = partial.image
        try:
            if partial.offset < image.length:
                with self._server.download(_target_path(image), headers=partial.range_headers()) as response:
                    self._take(partial, response, on_progress)
            partial.finish()
        except VerificationError:
            partial.discard()
            raise
        except NotNowError as error:
            if error.code == "disk_full":
                partial.discard()
            raise

    def _take(self, partial: "_Partial", response: httpx.Response, on_progress: Callable[[int], None]) -> None:
        image = partial.image
        partial.begin(response)
        _require_space(self._directory, image.length - partial.offset)
        next_report = self._monotonic() + PROGRESS_SECONDS
        for _ in partial.append(self._server.chunks(response)):
            self._disk.checkpoint("chunk")
            if self._monotonic() >= next_report:
                on_progress(100 * partial.offset // image.length)
                next_report = self._monotonic() + PROGRESS_SECONDS


class _Partial:
    """A download under way: the file, its digests so far, and the ETag that says whether the rest still fits."""

    def __init__(self, path: Path, image: Image, disk: Disk) -> None:
        self.image = image
        self._path = path
        self._disk = disk
        self._part = path.with_name(f"{path.name}.part")
        self._note = path.with_name(f"{path.name}.json")
        self._etag = ""
        self._restart()

    def resume(self) -> bool:
        """Take up what is on disk; returns whether there is anything."""
        note: Mapping[str, Any] = read_json(self._note) or {}
        if not note or not self._part.exists() or self._part.stat().st_size > self.image.length:
            return False
        self._etag = note["etag"]
        for block in blocks(self._part):
            self._digest(block)
        return self.offset > 0

    def range_headers(self) -> dict[str, str]:
        if not self.offset or not self._etag:
            return {}
        return {"Range": f"bytes={self.offset}-", "If-Range": self._etag}

    def begin(self, response: httpx.Response) -> None:
        """Go on at the present offset if `response` does, else from the start."""
        if response.status_code == 416:
            self.discard()
            raise NotNowError("download.range", "the server has no such range; starting again.")
        if response.status_code == 206:
            if (
                response.headers.get("Content-Range")
                != f"bytes {self.offset}-{self.image.length - 1}/{self.image.length}"
            ):
                self.discard()
                raise NotNowError("download.range", "the server gave another range; starting again.")
            return
        self._restart()
        etag = etag_of(response)
        # Only a strong ETag says that bytes are the same (RFC 9110, 13.1.5).
        self._etag = "" if etag.startswith("W/") else etag
        with full_disk_is_not_now():
            self._part.write_bytes(b"")
        self._disk.write_json(self._note, {"etag": self._etag})

    def append(self, chunks: Iterable[bytes]) -> Iterator[None]:
        """Write and digest `chunks`, stopping between them and before there is a byte too many."""
        # Unbuffered: what was received before a crash is on disk after it.
        with full_disk_is_not_now(), self._part.open("ab", buffering=0) as file:
            for chunk in chunks:
                if self.offset + len(chunk) > self.image.length:
                    name, length = self.image.target_name, self.image.length
                    raise VerificationError(Reason.OVERSIZED, f"{name} is longer than {length} bytes.")
                _write_all(file, chunk)
                self._digest(chunk)
                yield

    def finish(self) -> None:
        """Verify length and both digests, then give the file its name."""
        found = (self.offset, self._sha256.hexdigest(), self._sha512.hexdigest())
        if found != (self.image.length, self.image.sha256, self.image.sha512):
            message = f"{self.image.target_name}: {self.offset} bytes that are not those that were signed."
            raise VerificationError(Reason.IMAGE_CORRUPT, message)
        with full_disk_is_not_now():
            if not self.image.length:
                self._part.touch()
            self._disk.sync(self._part)
            self._disk.checkpoint("downloaded")
            os.replace(self._part, self._path)
        self._disk.remove(self._note)

    def discard(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self._restart()

    def _restart(self) -> None:
        self.offset, self._sha256, self._sha512 = 0, hashlib.sha256(), hashlib.sha512()

    def _digest(self, block: bytes) -> None:
        self.offset += len(block)
        self._sha256.update(block)
        self._sha512.update(block)


def _write_all(file: io.FileIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _require_space(directory: Path, length: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < length:
        raise NotNowError("disk_full", f"{length} bytes are needed, {free} are free.")


def _target_path(image: Image) -> str:
    role, _, name = image.target_name.partition("/")
    return f"{quote(role)}/{image.sha256}.{quote(name)}"
