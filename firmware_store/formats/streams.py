"""Reading from files that lie: never more than asked for, never more than a budget, never past the end."""

import hashlib
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from firmware_store.formats.errors import (
    FormatBombError,
    FormatMalformedError,
    FormatPathError,
    FormatTruncatedError,
    FormatUnsupportedError,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK_BYTES = 256 * 1024
# Images of file systems are mostly zeros, so that little bounds what honest ones shrink to.
INFLATED_RATIO = 200
INFLATED_FLOOR = 256 * 1024**2
INFLATED_CEILING = 32 * 1024**3
# Tools that work in parallel write several parts, of some megabytes; very many small ones only take time.
MAX_PARTS = 16_384
# What the largest preset of xz and long distance zstd need; the device has to find as much.
_MAX_WINDOW_LOG = 27
_MAX_XZ_BYTES = 160 * 1024**2
_MAX_NAME = 255
_BROKEN = (zlib.error, lzma.LZMAError, zstd.ZstdError, EOFError)


class Source(Protocol):
    """Bytes from front to back."""

    def read(self, size: int, /) -> bytes: ...


class Seekable(Source, Protocol):
    def seek(self, offset: int, /) -> int: ...


class Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


class _Zlib:
    """zlib with the interface of the other two."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self._tail = b""

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        out = self._inner.decompress(self._tail + data, max_length)
        self._tail = self._inner.unconsumed_tail
        self.needs_input = not self._tail and len(out) < max_length
        return out

    needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def _xz() -> Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_XZ_BYTES)


def _zstd() -> Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG})


# By the end of a name in a Mender artifact, and by the number in the superblock of a squashfs.
STREAMS: Mapping[str, Callable[[], Decompressor]] = {".gz": lambda: _Zlib(31), ".xz": _xz, ".zst": _zstd}
BLOCKS: Mapping[int, Callable[[], Decompressor]] = {1: lambda: _Zlib(15), 4: _xz, 6: _zstd}


class Budget:
    """How much may come out of one file, whatever it holds inside what."""

    def __init__(self, length: int) -> None:
        self._limit = min(INFLATED_CEILING, max(INFLATED_FLOOR, INFLATED_RATIO * length))
        self._spent = 0

    def spend(self, size: int) -> None:
        self._spent += size
        if self._spent > self._limit:
            raise FormatBombError(
                f"More than {self._limit} bytes come out of the file; that is no update but a bomb.", limit=self._limit
            )


class Inflated:
    """What a compressed stream holds. Several compressed parts one after another are read as one, as by the tools."""

    def __init__(self, source: Source, make: Callable[[], Decompressor], budget: Budget) -> None:
        self._source, self._make, self._budget = source, make, budget
        self._inner = make()
        self._parts = 1

    def read(self, size: int) -> bytes:
        try:
            return self._read(size) if size else b""  # to zlib no limit at all
        except _BROKEN as error:
            raise FormatMalformedError(f"What is compressed cannot be read: {str(error)[:200]}.") from error

    def _read(self, size: int) -> bytes:
        while True:
            if self._inner.eof:
                rest = self._inner.unused_data or self._source.read(BLOCK_BYTES)
                if not rest:
                    return b""
                self._parts += 1
                if self._parts > MAX_PARTS:
                    raise FormatUnsupportedError(
                        f"What is compressed has more than {MAX_PARTS} parts.", limit=MAX_PARTS
                    )
                self._inner, data = self._make(), rest
            else:
                data = self._source.read(BLOCK_BYTES) if self._inner.needs_input else b""
                if self._inner.needs_input and not data:
                    raise FormatTruncatedError("What is compressed ends in the middle.")
            out = self._inner.decompress(data, size)
            if out:
                self._budget.spend(len(out))
                return out


class Section:
    """The next `length` bytes of a source, and not one more."""

    def __init__(self, source: Source, length: int) -> None:
        self._source, self.left = source, length

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self.left))
        if not data and self.left and size:
            raise FormatTruncatedError(f"The file ends {self.left} bytes too early.", missing=self.left)
        self.left -= len(data)
        return data


def inflate_block(data: bytes, make: Callable[[], Decompressor], limit: int) -> bytes:
    """Return what one compressed block holds, which is at most `limit` bytes."""
    inner = make()
    try:
        out = inner.decompress(data, limit + 1)
    except _BROKEN as error:
        raise FormatMalformedError(f"A compressed block cannot be read: {str(error)[:200]}.") from error
    if len(out) > limit:
        raise FormatBombError(f"A compressed block holds more than its {limit} bytes.", limit=limit)
    if not inner.eof:
        raise FormatTruncatedError("A compressed block ends in the middle.")
    return out


def exactly(source: Source, size: int) -> bytes:
    """Return the next `size` bytes, which the caller has bounded."""
    parts, left = [], size
    while left:
        data = source.read(left)
        if not data:
            raise FormatTruncatedError(f"The file ends {left} bytes too early.", missing=left)
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def blocks(source: Source) -> Iterator[bytes]:
    while data := source.read(BLOCK_BYTES):
        yield data


def whole(source: Source, limit: int, what: str) -> bytes:
    """Return all that is left of a source, a text that people write: at most `limit` bytes."""
    parts, size = [], 0
    for data in blocks(source):
        size += len(data)
        if size > limit:
            raise FormatUnsupportedError(f"{what} is longer than {limit} bytes.", limit=limit)
        parts.append(data)
    return b"".join(parts)


def digest_of(source: Source, algorithm: str = "sha256") -> bytes:
    hashed = hashlib.new(algorithm, usedforsecurity=False)
    for data in blocks(source):
        hashed.update(data)
    return hashed.digest()


def file_name(raw: bytes) -> str:
    """Return a name inside a package, which is that of a file in the folder where the client unpacks."""
    name = text(raw, "A file's name")
    if not name or name in (".", "..") or "/" in name or "\\" in name or len(name) > _MAX_NAME:
        raise FormatPathError(f"{name!a:.200} is no name of a file in the package's own folder.", name=name[:_MAX_NAME])
    return name


def text(raw: bytes, what: str) -> str:
    """Return UTF-8 text without control characters, so that it can be stored and shown."""
    try:
        found = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatMalformedError(f"{what} is not UTF-8.") from error
    if any(char < " " or char == "\x7f" for char in found):
        raise FormatMalformedError(f"{what} holds a control character.")
    return found
