"""As much of squashfs 4.0 as a RAUC bundle needs: regular files in its root folder, found by name and read through.

Every number in it is taken for a lie until the bytes it points at are there: blocks have a largest size, what comes
out is counted, and tables are read only as far as a file needs.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from firmware_store.formats.errors import FormatMalformedError, FormatUnsupportedError
from firmware_store.formats.streams import BLOCKS, Budget, Seekable, exactly, inflate_block

MAGIC = b"hsqs"
MAX_ENTRIES = 4096
_SUPERBLOCK = struct.Struct("<4s4I6H8Q")
_METADATA_BYTES = 8192
_MAX_BLOCK_BYTES = 1024 * 1024
_NO_FRAGMENT = 0xFFFFFFFF
_PLAIN_BLOCK = 1 << 24
_NAMES = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_DIRECTORY, _FILE, _LONG_DIRECTORY, _LONG_FILE = 1, 2, 8, 9


@dataclass(frozen=True)
class _Position:
    """Where something is in a table: the start of a metadata block, and how far into it when unpacked."""

    block: int
    offset: int


@dataclass(frozen=True)
class _Inode:
    start: int
    length: int
    fragment: int
    fragment_offset: int


class Squashfs:
    """One image of a file system, of `length` bytes from the front of a file."""

    def __init__(self, file: Seekable, length: int, budget: Budget) -> None:
        self._file, self._length, self._budget = file, length, budget
        file.seek(0)
        fields = _SUPERBLOCK.unpack(exactly(file, _SUPERBLOCK.size))
        magic, _, _, self._block_size, self._fragments, compressor, block_log = fields[:7]
        self._root, _, _, _, self._inodes, self._folders, self._fragment_table = fields[11:18]
        if magic != MAGIC or fields[9:11] != (4, 0):
            raise FormatMalformedError("It is no squashfs of version 4.0.")
        if not 4096 <= self._block_size <= _MAX_BLOCK_BYTES or self._block_size != 1 << block_log:
            raise FormatMalformedError(f"A squashfs has no blocks of {self._block_size} bytes.")
        if compressor not in BLOCKS:
            raise FormatUnsupportedError(
                f"The squashfs is compressed with {_NAMES.get(compressor, compressor)}; gzip, xz and zstd are read."
            )
        self._decompressor = BLOCKS[compressor]

    def files(self) -> dict[bytes, _Position]:
        """Return the regular files in the root folder, by name."""
        table = self._metadata(_Position(self._inodes + (self._root >> 16), self._root & 0xFFFF))
        kind = _unpack(table, "<H14x")[0]
        if kind == _DIRECTORY:
            block, _, size, offset, _ = _unpack(table, "<IIHHI")
        elif kind == _LONG_DIRECTORY:
            _, size, block, _, _, offset, _ = _unpack(table, "<IIIIHHI")
        else:
            raise FormatMalformedError("The root of the squashfs is no folder.")
        return dict(self._listed(_Position(self._folders + block, offset), size - 3))

    def read(self, position: _Position) -> Iterator[bytes]:
        """Yield the bytes of a file, block after block."""
        table = self._metadata(position)
        inode = self._inode(table)
        whole, tail = divmod(inode.length, self._block_size)
        if inode.fragment == _NO_FRAGMENT and tail:
            whole, tail = whole + 1, 0
        at, left = inode.start, inode.length
        for _ in range(whole):
            (size,) = _unpack(table, "<I")
            wanted = min(self._block_size, left)
            yield self._block(at, size, wanted)
            at, left = at + (size & ~_PLAIN_BLOCK), left - wanted
        if tail:
            yield self._fragment(inode, tail)

    def _inode(self, table: "_Metadata") -> _Inode:
        kind = _unpack(table, "<H14x")[0]
        if kind == _FILE:
            start, fragment, offset, length = _unpack(table, "<IIII")
        elif kind == _LONG_FILE:
            start, length, _, _, fragment, offset, _ = _unpack(table, "<QQQIIII")
        else:
            raise FormatMalformedError("A file of the squashfs is no regular file.")
        return _Inode(start, length, fragment, offset)

    def _listed(self, position: _Position, size: int) -> Iterator[tuple[bytes, _Position]]:
        table, found, regular = self._metadata(position), 0, (_FILE, _LONG_FILE)
        while size > 0:
            count, start, _ = _unpack(table, "<III")
            size -= 12
            found += count + 1
            if found > MAX_ENTRIES:
                raise FormatUnsupportedError(f"The bundle holds more than {MAX_ENTRIES} files.", limit=MAX_ENTRIES)
            for _ in range(count + 1):
                offset, _, kind, length = _unpack(table, "<HhHH")
                name = table.take(length + 1)
                size -= 8 + len(name)
                if kind in regular:
                    yield name, _Position(self._inodes + start, offset)

    def _block(self, at: int, size: int, wanted: int) -> bytes:
        self._budget.spend(wanted)
        if size == 0:
            return bytes(wanted)  # a hole
        data = self._at(at, size & ~_PLAIN_BLOCK, self._block_size)
        if not size & _PLAIN_BLOCK:
            data = inflate_block(data, self._decompressor, self._block_size)
        if len(data) != wanted:
            raise FormatMalformedError(f"A block of a file has {len(data)} bytes, not {wanted}.")
        return data

    def _fragment(self, inode: _Inode, tail: int) -> bytes:
        if inode.fragment >= self._fragments:
            raise FormatMalformedError(f"There is no fragment {inode.fragment}.")
        block, index = divmod(inode.fragment, _METADATA_BYTES // 16)
        (start,) = struct.unpack("<Q", self._at(self._fragment_table + 8 * block, 8, 8))
        table = self._metadata(_Position(start, 16 * index))
        at, size, _ = _unpack(table, "<QII")
        data = self._at(at, size & ~_PLAIN_BLOCK, self._block_size)
        if not size & _PLAIN_BLOCK:
            data = inflate_block(data, self._decompressor, self._block_size)
        self._budget.spend(tail)
        found = data[inode.fragment_offset : inode.fragment_offset + tail]
        if len(found) != tail:
            raise FormatMalformedError("A fragment ends before the file in it.")
        return found

    def _metadata(self, position: _Position) -> "_Metadata":
        return _Metadata(self, position)

    def metadata_block(self, at: int) -> tuple[bytes, int]:
        """Return a block of a table, unpacked, and where the next begins."""
        (header,) = struct.unpack("<H", self._at(at, 2, 2))
        size = header & 0x7FFF
        data = self._at(at + 2, size, _METADATA_BYTES)
        if not header & 0x8000:
            data = inflate_block(data, self._decompressor, _METADATA_BYTES)
        self._budget.spend(len(data))
        if not data:
            raise FormatMalformedError("A block of a table is empty.")
        return data, at + 2 + size

    def _at(self, at: int, size: int, most: int) -> bytes:
        if size > most or at + size > self._length:
            raise FormatMalformedError(f"The squashfs points at {size} bytes at {at}, which are not there.")
        self._file.seek(at)
        return exactly(self._file, size)


class _Metadata:
    """A table from some position on."""

    def __init__(self, image: Squashfs, position: _Position) -> None:
        self._image = image
        self._data, self._next = image.metadata_block(position.block)
        self._at = position.offset

    def take(self, size: int) -> bytes:
        while len(self._data) - self._at < size:
            more, self._next = self._image.metadata_block(self._next)
            self._data, self._at = self._data[self._at :] + more, max(0, self._at - len(self._data))
        found = self._data[self._at : self._at + size]
        self._at += size
        return found


def _unpack(table: _Metadata, form: str) -> tuple[int, ...]:
    return struct.unpack(form, table.take(struct.calcsize(form)))
