"""The order in which a campaign's vehicles have their turn: random, reproducible, and a mirror of the fleet.

A rank has 63 bits. From the top: 7 for the band (which waves may take the vehicle), 36 for its position among its
like, 20 of its hash, so that equal positions have an order. Within a band and a stratum vehicles stand in the order of
their hashes, the nth of N at (n - 1/2) / N: so every stretch of a band has vehicles of each stratum in proportion to
its size.
All in whole numbers, so that every database, and whoever checks, computes the same.
"""

import hashlib
from decimal import Decimal

HASH_BITS = 60
POSITION_BITS = 36
TIE_BITS = 20
BAND_SHIFT = POSITION_BITS + TIE_BITS
# The members of a group's wave have its number for a band. Whoever joins after the start stands behind all others.
BULK_BAND = 126
LATE_BAND = 127
LAST_RANK = 2**63 - 1
_PERCENT_SCALE = 100_000  # a percent has three decimals


def vehicle_hash(campaign: str, vehicle_id: str) -> int:
    """Return a vehicle's number in a campaign: the first 15 hex digits of SHA-256 over both, with a newline between.

    `printf 'spring\\nVIN1' | sha256sum` gives the same. No newline stands in either name.
    """
    return int(hashlib.sha256(f"{campaign}\n{vehicle_id}".encode()).hexdigest()[:15], 16)


def rank(band: int, place: int, size: int, hash: int) -> int:
    """Return the rank of the vehicle at `place` (from 1) among the `size` of its band and stratum, by hash."""
    position: int = ((2 * place - 1) << (POSITION_BITS - 1)) // size
    return (band << BAND_SHIFT) + (position << TIE_BITS) + (hash >> (HASH_BITS - TIE_BITS))


def band_ranks(band: int) -> tuple[int, int]:
    """Return the first and the last rank of a band."""
    return band << BAND_SHIFT, ((band + 1) << BAND_SHIFT) - 1


def thousandths(percent: Decimal) -> int:
    """Return a percent in thousandths, as `held_out` counts."""
    return int(percent * 1000)


def held_out(size: int, percent: Decimal) -> int:
    """Return how many of a stratum of that size are held out: the first ones by hash. Rounded down: one is updated."""
    return size * thousandths(percent) // _PERCENT_SCALE


def late_control_limit(percent: Decimal) -> int:
    """Return the hash below which a vehicle that joins after the start is held out, in the same share."""
    return (thousandths(percent) << HASH_BITS) // _PERCENT_SCALE
