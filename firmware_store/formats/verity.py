"""The hash tree behind a verity bundle, as Linux's dm-verity reads it: SHA-256, blocks of 4096 bytes, a salt before."""

import hashlib

from firmware_store.formats.errors import FormatMalformedError, PayloadMismatchError
from firmware_store.formats.streams import Seekable, exactly

BLOCK = 4096
_DIGEST = 32
_PER_BLOCK = BLOCK // _DIGEST


def check(file: Seekable, *, size: int, tree: int, root: bytes, salt: bytes) -> None:
    """Check that the first `size` bytes of a file, with the tree of `tree` bytes behind them, have this root.

    Raises:
        FormatMalformedError: the sizes fit no tree.
        PayloadMismatchError: a block is another than the one that was hashed.
    """
    levels = _levels(size)
    if size <= 0 or size % BLOCK or tree != BLOCK * sum(levels):
        raise FormatMalformedError(f"No hash tree of {tree} bytes belongs to {size} bytes.")
    # The topmost level stands first, right behind the data.
    starts = [size + BLOCK * sum(levels[number + 1 :]) for number in range(len(levels))]
    below, length = 0, size
    for start, blocks in zip(starts, levels, strict=True):
        _check_level(file, below, length, start, salt)
        below, length = start, BLOCK * blocks
    file.seek(below)
    if hashlib.sha256(salt + exactly(file, BLOCK)).digest() != root:
        raise PayloadMismatchError("The bundle's hash tree has another root than the signed manifest states.")


def _levels(size: int) -> list[int]:
    """Return how many blocks each level of the tree has, the lowest first."""
    levels, count = [], size // BLOCK
    while count > 1:
        count = -(-count // _PER_BLOCK)
        levels.append(count)
    return levels


def _check_level(file: Seekable, below: int, length: int, start: int, salt: bytes) -> None:
    salted = hashlib.sha256(salt)
    for done in range(0, length, BLOCK * _PER_BLOCK):
        file.seek(below + done)
        part = exactly(file, min(BLOCK * _PER_BLOCK, length - done))
        digests = []
        for at in range(0, len(part), BLOCK):
            one = salted.copy()
            one.update(part[at : at + BLOCK])
            digests.append(one.digest())
        file.seek(start + done // _PER_BLOCK)
        if b"".join(digests).ljust(BLOCK, b"\0") != exactly(file, BLOCK):
            raise PayloadMismatchError(f"The bundle differs from its hash tree near byte {below + done}.")
