"""Pace: how many vehicles may be offered a release now, by what was offered in the minute and the hour before."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

OFFERS_SPAN = timedelta(minutes=1)
BYTES_SPAN = timedelta(hours=1)


@dataclass(frozen=True)
class Allowance:
    """What may still be offered: vehicles, and bytes that they will fetch. None is no limit."""

    offers: int | None
    length: int | None

    @property
    def is_used_up(self) -> bool:
        return self.offers == 0 or self.length == 0


def allowance(*, offers_per_minute: int | None, bytes_per_hour: int | None, offers: int, length: int) -> Allowance:
    """Return what the pace leaves, after `offers` in the last minute and `length` bytes in the last hour.

    The spans slide, so that nothing saved up in a pause comes at once after it.
    """
    return Allowance(
        None if offers_per_minute is None else max(0, offers_per_minute - offers),
        None if bytes_per_hour is None else max(0, bytes_per_hour - length),
    )


def fitting(lengths: Iterable[int], allowed: Allowance) -> int:
    """Return how many of these vehicles, in their order, may be offered; none is passed over for a smaller one."""
    count, left = 0, allowed.length
    for length in lengths:
        if allowed.offers is not None and count >= allowed.offers:
            break
        if left is not None:
            if length > left:
                break
            left -= length
        count += 1
    return count


def pace_problem(*, offers_per_minute: int | None, bytes_per_hour: int | None, release_length: int) -> str | None:
    """Return why this cannot be a campaign's pace, or None.

    `release_length` is that of all packages together that one order may ask for.
    """
    if offers_per_minute is not None and offers_per_minute < 1:
        return f"At least one vehicle a minute must be offered the release, not {offers_per_minute}."
    if bytes_per_hour is not None and bytes_per_hour < max(release_length, 1):
        return (
            f"The pace is {bytes_per_hour} bytes an hour and the release has {release_length}: "
            "a vehicle that needs all of it would never be offered it."
        )
    return None
