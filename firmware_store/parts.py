"""How a file is cut into the parts of a multipart upload. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

MIB = 1024**2
# What S3 sets: at most 10,000 parts, each but the last of 5 MiB at least.
MAX_PARTS = 10_000
# What a cut connection costs at most, where the file is not so large that its parts must be larger.
PART_BYTES = 16 * MIB


@dataclass(frozen=True)
class Part:
    """A part that the bucket has; parts are numbered from 1."""

    number: int
    length: int
    etag: str


def part_bytes_for(length: int) -> int:
    """Return how long each part but the last is, in whole MiB."""
    return PART_BYTES if length <= PART_BYTES * MAX_PARTS else math.ceil(length / MAX_PARTS / MIB) * MIB


def part_lengths(length: int, part_bytes: int) -> dict[int, int]:
    """Return the length of each part by its number."""
    count = math.ceil(length / part_bytes)
    return {number: min(part_bytes, length - (number - 1) * part_bytes) for number in range(1, count + 1)}


def missing_parts(wanted: Mapping[int, int], received: Mapping[int, int]) -> list[int]:
    """Return the numbers of the parts that are not here, or are here with another length, in order."""
    return [number for number, length in wanted.items() if received.get(number) != length]
