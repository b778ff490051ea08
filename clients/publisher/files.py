"""Files on the release engineer's disk, read in pieces."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clients.publisher.errors import InputError

BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class FileFacts:
    """What one pass over a file tells."""

    length: int
    sha256: str
    sha512: str


def file_facts(path: Path) -> FileFacts:
    """Read the file once and return its length and digests.

    Raises:
        InputError: it cannot be read.
    """
    sha256, sha512, length = hashlib.sha256(), hashlib.sha512(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                sha256.update(block)
                sha512.update(block)
                length += len(block)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", code="file.unreadable") from error
    return FileFacts(length, sha256.hexdigest(), sha512.hexdigest())


def blocks(path: Path, offset: int, length: int) -> Iterator[bytes]:
    """Yield `length` bytes of the file from `offset` on, never more than a block in memory."""
    with path.open("rb") as file:
        file.seek(offset)
        while length and (block := file.read(min(BLOCK_BYTES, length))):
            length -= len(block)
            yield block
