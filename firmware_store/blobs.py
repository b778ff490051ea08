"""Files by their SHA-256: on their way in under `UPLOAD_DIR`, then for ever in Django's default storage.

An upload is one file that only grows, so its length is the truth about what has arrived, also after a crash. It is read
once more when it is complete, for all digests together; then it is moved (or streamed, to another disk or a bucket).
Whoever appends to it, or reads and moves it, holds its lock: what was read is what is moved. Several web hosts share
UPLOAD_DIR.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage

from firmware_store import buckets
from firmware_store.errors import (
    BlobNotFoundError,
    UploadBusyError,
    UploadIncompleteError,
    UploadOffsetError,
    UploadTooLongError,
)
from otaserver.errors import StorageFullError

BLOCK_BYTES = 256 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Digests:
    """What one pass over a file tells: its length in bytes and its digests in lower-case hex."""

    length: int
    sha256: str
    sha512: str
    sha1: str
    md5: str


class _MovableFile(File):  # type: ignore[type-arg]
    """An open file that a storage on the same disk may rename instead of copying."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file, name=path.name)
        self._path = path

    def temporary_file_path(self) -> str:
        return str(self._path)


def blob_path(sha256: str) -> str:
    """Return where a file is in the storage: two levels of folders, so that none grows too large."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def has_blob(sha256: str, *, length: int) -> bool:
    """Return whether the file is stored whole. A part of it, left by a crash while copying, does not count."""
    path = blob_path(sha256)
    return default_storage.exists(path) and default_storage.size(path) == length


def open_blob(sha256: str) -> IO[bytes]:
    """Open a stored file for reading.

    Raises:
        BlobNotFoundError: there is none.
    """
    if buckets.is_bucket():
        # The storage's own files come whole before their first byte can be read.
        return buckets.open_object(blob_path(sha256))
    try:
        return default_storage.open(blob_path(sha256), "rb")
    except FileNotFoundError as error:
        raise BlobNotFoundError(f"No file with the SHA-256 {sha256} is stored.", sha256=sha256) from error


def received_bytes(upload: str) -> int:
    """Return how much of an upload has arrived; 0 for one that never began."""
    try:
        return _upload_path(upload).stat().st_size
    except FileNotFoundError:
        return 0


def append(upload: str, stream: Readable, *, offset: int, length: int) -> int:
    """Append the stream to the upload, which may grow to `length` bytes, and return the new offset.

    Whatever arrived before a broken connection or a full disk stays, and the upload goes on from there.

    Raises:
        UploadOffsetError: the upload is not at `offset`; the details hold where it is.
        UploadBusyError: another request is appending to it, or publishing it.
        UploadTooLongError: the stream goes beyond `length`; the upload is as it was before.
        StorageFullError: the disk takes no more.
    """
    path = _upload_path(upload)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
        received = os.fstat(descriptor).st_size
        if received != offset:
            raise UploadOffsetError(
                f"The upload is at byte {received}, not {offset}; go on from there.", offset=received
            )
        while block := stream.read(BLOCK_BYTES):
            if received + len(block) > length:
                # An upload that was given up is another's file by now, if it is one at all.
                if _is_at(path, descriptor):
                    os.ftruncate(descriptor, offset)
                raise UploadTooLongError(f"More than the {length} bytes that were declared.", length=length)
            received = _write(descriptor, block, received)
    return received


@contextmanager
def held(upload: str) -> Iterator[None]:
    """Let nobody append to an upload: from before it is read until it is stored.

    Raises:
        UploadIncompleteError: nothing of it is here.
        UploadBusyError: another request is appending to it, or publishing it.
    """
    try:
        with _locked(_upload_path(upload), os.O_RDONLY):
            yield
    except FileNotFoundError as error:
        raise UploadIncompleteError("No byte of the upload is here.", offset=0) from error


def digest_upload(upload: str) -> Digests:
    """Read the upload once and return its digests; when this returns its bytes are on the disk."""
    with _upload_path(upload).open("rb") as file:
        digests = digest_of(file)
        os.fsync(file.fileno())
    return digests


def digest_blob(sha256: str) -> Digests:
    """Read a stored file once and return its digests.

    Raises:
        BlobNotFoundError: there is none.
    """
    with open_blob(sha256) as file:
        return digest_of(file)


def digest_of(file: Readable, *, each_block: Callable[[], None] = lambda: None) -> Digests:
    """Read a file to its end and return its digests."""
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", "sha512", "sha1", "md5")}
    length = 0
    while block := file.read(BLOCK_BYTES):
        length += len(block)
        for one in hashes.values():
            one.update(block)
        each_block()
    return Digests(length=length, **{name: one.hexdigest() for name, one in hashes.items()})


def store(upload: str, *, sha256: str, length: int) -> None:
    """Move a complete upload, whose digest is known, into the storage; one that is stored already is just dropped.

    Repeatable: a crash on the way leaves the upload, or the stored file, or both.

    Raises:
        StorageFullError: the storage takes no more; the upload stays.
    """
    path, name = _upload_path(upload), blob_path(sha256)
    with _changing(sha256):
        if not has_blob(sha256, length=length):
            # What is there is a part of it, left by a crash.
            default_storage.delete(name)
            try:
                with path.open("rb") as file:
                    default_storage.save(name, _MovableFile(file, path))
            except OSError as error:
                default_storage.delete(name)
                raise _refusal(error) from error
    discard(upload)


def store_object(name: str, *, etag: str, sha256: str, length: int) -> None:
    """Put an object that waits in the bucket, and whose digest is known, where files are served from.

    Repeatable. What waits stays where it is: a copy of it may be what the bucket made last before a crash.

    Raises:
        BlobNotFoundError: it is no longer the object that `etag` marks.
    """
    with _changing(sha256):
        if not has_blob(sha256, length=length):
            buckets.copy(name, blob_path(sha256), etag=etag)


def delete_unless(sha256: str, is_needed: Callable[[], bool]) -> None:
    """Delete a stored file unless it is needed; nobody can store the same content between question and deletion."""
    with _changing(sha256):
        if not is_needed():
            default_storage.delete(blob_path(sha256))


def discard(upload: str) -> None:
    """Forget an upload. Forgetting an unknown one changes nothing."""
    _upload_path(upload).unlink(missing_ok=True)


def _upload_path(upload: str) -> Path:
    return Path(settings.UPLOAD_DIR) / f"{upload}.part"


@contextmanager
def _changing(sha256: str) -> Iterator[None]:
    """Hold the one lock for what is stored under this digest; 256 lock files serve them all and are never removed."""
    path = Path(settings.UPLOAD_DIR) / f"{sha256[:2]}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UploadBusyError("Another request is at this upload; try again after it.") from error
        # It may have been stored between opening and locking: these are a published package's bytes then.
        if not _is_at(path, descriptor):
            raise UploadBusyError("Another request has just finished this upload; ask for its state.")
        yield descriptor
    finally:
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write(descriptor: int, block: bytes, received: int) -> int:
    view = memoryview(block)
    while view:
        try:
            written = os.write(descriptor, view)
        except OSError as error:
            raise _refusal(error) from error
        view, received = view[written:], received + written
    return received


def _refusal(error: OSError) -> Exception:
    if error.errno in _FULL:
        return StorageFullError("The storage is full; what has arrived is kept, and the upload can go on later.")
    return error
