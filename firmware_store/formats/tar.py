"""Tar from front to back, as much of it as Mender's artifacts use: regular files, and longer names in pax headers."""

import re
from collections.abc import Iterator

from firmware_store.formats.errors import FormatMalformedError, FormatUnsupportedError
from firmware_store.formats.streams import BLOCK_BYTES, Section, Source, exactly, whole

RECORD_BYTES = 512
MAX_ENTRIES = 4096
_MAX_PAX_BYTES = 64 * 1024
_OCTAL = re.compile(rb" *[0-7]{1,12}[ \0]*\Z")
_PAX = re.compile(rb"([0-9]{1,6}) ([^=\n]{1,200})=")


class Member(Section):
    """One file of an archive; what of it is not read is skipped."""

    def __init__(self, name: bytes, source: Source, length: int) -> None:
        super().__init__(source, length)
        self.name, self.length = name, length


def members(source: Source) -> Iterator[Member]:
    """Yield an archive's files one after another."""
    pax: dict[bytes, bytes] = {}
    for _ in range(MAX_ENTRIES):
        header = _record(source)
        if header is None:
            return
        kind, length = header[156:157], _length(header, pax)
        if kind == b"x":
            pax = _pax(Section(source, length))
            exactly(source, -length % RECORD_BYTES)
            continue
        if kind not in (b"0", b"\0"):
            raise FormatUnsupportedError(f"The archive holds something else than files (type {kind!a}).")
        member = Member(pax.get(b"path") or _name(header), source, length)
        pax = {}
        yield member
        while member.read(BLOCK_BYTES):
            pass
        exactly(source, -length % RECORD_BYTES)
    raise FormatUnsupportedError(f"The archive holds more than {MAX_ENTRIES} files.", limit=MAX_ENTRIES)


def _record(source: Source) -> bytes | None:
    """Return the next header, None at the end: two records of zeros, of which writers may leave out one or both."""
    parts = source.read(RECORD_BYTES)
    if not parts:
        return None
    header = parts + exactly(source, RECORD_BYTES - len(parts))
    if not any(header):
        return None
    expected = _octal(header[148:156], "checksum")
    if sum(header) - sum(header[148:156]) + 8 * ord(" ") != expected:
        raise FormatMalformedError("A tar header does not add up to its checksum.")
    return header


def _length(header: bytes, pax: dict[bytes, bytes]) -> int:
    stated = pax.get(b"size", b"")
    if header[156:157] != b"x" and stated:
        if not stated.isdigit() or len(stated) > 15:
            raise FormatMalformedError(f"A pax header states the size {stated[:40]!a}.")
        return int(stated)
    return _octal(header[124:136], "size")


def _octal(raw: bytes, what: str) -> int:
    if not _OCTAL.match(raw):
        raise FormatMalformedError(f"A tar header states the {what} {raw!a}.")
    return int(raw.strip(b" \0"), 8)


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    is_ustar = header[257:263] == b"ustar\0"
    return prefix + b"/" + name if is_ustar and prefix else name


def _pax(section: Section) -> dict[bytes, bytes]:
    raw = whole(section, _MAX_PAX_BYTES, "A pax header")
    found, at = {}, 0
    while at < len(raw):
        record = _PAX.match(raw, at)
        # A record is as long as it says: one that ended at its first line end would be read otherwise by the client.
        end = at + int(record[1]) if record else 0
        if record is None or not record.end() < end <= len(raw) or raw[end - 1 : end] != b"\n":
            raise FormatMalformedError("A pax header is not in its form.")
        if record[2].startswith(b"GNU.sparse"):
            raise FormatUnsupportedError("The archive holds a sparse file.")
        found[record[2]], at = raw[record.end() : end - 1], end
    return found
