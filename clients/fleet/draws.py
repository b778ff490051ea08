"""Chance that can be repeated: a hash in place of a generator, so that no order of calls matters."""

import hashlib


def draw(seed: int, *what: str) -> float:
    """Return a number in [0, 1) that depends on nothing but its arguments."""
    digest = hashlib.sha256("\0".join((str(seed), *what)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
