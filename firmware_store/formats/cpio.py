"""The two cpio forms that SWUpdate reads: newc, and newc with a sum of each file's bytes (crc)."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from firmware_store.formats.errors import FormatMalformedError, FormatUnsupportedError, PayloadMismatchError
from firmware_store.formats.streams import BLOCK_BYTES, Section, Source, exactly, file_name

NEWC, CRC = b"070701", b"070702"
HEADER_BYTES = 110
MAX_ENTRIES = 4096
_MAX_NAME = 256
_TRAILER = b"TRAILER!!!"
_FIELDS = re.compile(rb"(?:[0-9A-Fa-f]{8}){13}\Z")
_REGULAR = 0o100000
# A block's bytes in lanes: added in pairs twice, no lane overflows, and the rest is the sum of its 32 bit lanes.
_PAIRS = int.from_bytes(b"\x00\xff" * (BLOCK_BYTES // 2), "big")
_FOURS = int.from_bytes(b"\x00\x00\xff\xff" * (BLOCK_BYTES // 4), "big")


@dataclass(frozen=True)
class Header:
    name: bytes
    mode: int
    length: int
    total: int | None  # the sum of the bytes; none in newc

    @property
    def is_end(self) -> bool:
        return self.name == _TRAILER


class Entry:
    """One file of an archive: read it to its end, which checks the sum, and then ask for its digest."""

    def __init__(self, header: Header, source: Source) -> None:
        self.name = file_name(header.name)
        self.length = header.length
        self._section = Section(source, header.length)
        self._expected = header.total
        self._sum, self._hash = 0, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._section.read(min(size, BLOCK_BYTES))
        if data:
            self._hash.update(data)
            if self._expected is not None:
                self._sum = (self._sum + byte_sum(data)) & 0xFFFFFFFF
        return data

    def finish(self) -> str:
        """Read what is left, and return the SHA-256 of it all."""
        while self.read(BLOCK_BYTES):
            pass
        if self._expected is not None and self._sum != self._expected:
            raise PayloadMismatchError(
                f"The bytes of {self.name} add up to {self._sum:08x}; its header says {self._expected:08x}.",
                name=self.name,
            )
        return self._hash.hexdigest()


def entries(source: Source) -> Iterator[Entry]:
    """Yield an archive's files one after another; each is finished before the next is read."""
    for _ in range(MAX_ENTRIES):
        header = _header(source)
        if header.is_end:
            return
        if header.mode & 0o170000 != _REGULAR:
            raise FormatMalformedError(f"{header.name[:200]!a} is no regular file.")
        entry = Entry(header, source)
        yield entry
        entry.finish()
        exactly(source, -entry.length % 4)
    raise FormatUnsupportedError(f"The archive holds more than {MAX_ENTRIES} files.", limit=MAX_ENTRIES)


def byte_sum(data: bytes) -> int:
    """Return the sum of a block's bytes. As one long number, since a loop over them takes ten times as long."""
    number = int.from_bytes(data, "big")
    number = (number & _PAIRS) + (number >> 8 & _PAIRS)
    number = (number & _FOURS) + (number >> 16 & _FOURS)
    return number % 0xFFFFFFFF


def _header(source: Source) -> Header:
    raw = exactly(source, HEADER_BYTES)
    magic, fields = raw[:6], raw[6:]
    if magic not in (NEWC, CRC) or not _FIELDS.match(fields):
        raise FormatMalformedError(f"{raw[:6]!a} begins no file of a cpio archive in the form newc or crc.")
    numbers = [int(fields[at : at + 8], 16) for at in range(0, len(fields), 8)]
    mode, length, name_length, total = numbers[1], numbers[6], numbers[11], numbers[12]
    if not 1 < name_length <= _MAX_NAME:
        raise FormatMalformedError(f"A file's name has {name_length} bytes, not 2 to {_MAX_NAME} with its NUL.")
    name = exactly(source, name_length)
    exactly(source, -(HEADER_BYTES + name_length) % 4)
    if name[-1:] != b"\0" or b"\0" in name[:-1]:
        raise FormatMalformedError("A file's name does not end with its only NUL.")
    return Header(name[:-1], mode, length, total if magic == CRC else None)
