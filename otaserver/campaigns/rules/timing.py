"""All that a plan says of when: refused as a whole where it could never let a vehicle install."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from otaserver.campaigns.rules import consent, pace, preconditions, windows

# Longer than any signed metadata lasts.
MAX_LEAD = timedelta(days=3660)


@dataclass(frozen=True)
class Timing:
    """The part of a plan that this is about; the fields are those of `Campaign`.

    `patience_seconds`: how long an order stands at most before it is installed.
    """

    ends_at: datetime | None
    windows: Sequence[windows.Window]
    offers_per_minute: int | None
    bytes_per_hour: int | None
    preconditions: Sequence[Mapping[str, Any]]
    consent: consent.Terms
    patience_seconds: int


def timing_problem(timing: Timing, *, release_length: int, at: datetime) -> str | None:
    """Return why a plan made at `at` cannot be, with the value at fault, or None."""
    return (
        windows.windows_problem(timing.windows)
        or end_problem(timing.ends_at, timing.windows, starts_at=at)
        or pace.pace_problem(
            offers_per_minute=timing.offers_per_minute,
            bytes_per_hour=timing.bytes_per_hour,
            release_length=release_length,
        )
        or preconditions.preconditions_problem(timing.preconditions)
        or consent.terms_problem(timing.consent)
        or consent.patience_problem(timing.consent, patience_seconds=timing.patience_seconds)
    )


def start_problem(starts_at: datetime, *, at: datetime) -> str | None:
    """Return why a campaign cannot wait for that start, or None."""
    if starts_at - at <= MAX_LEAD:
        return None
    return f"A campaign starts within {MAX_LEAD.days} days; {_time(starts_at)} is later."


def end_problem(ends_at: datetime | None, listed: Sequence[windows.Window], *, starts_at: datetime) -> str | None:
    """Return why a campaign that starts then cannot end at `ends_at`, or None."""
    if ends_at is None:
        return None
    if ends_at <= starts_at:
        return f"The end, {_time(ends_at)}, must come after the start; that is {_time(starts_at)} at the earliest."
    if listed and not windows.ever_open(listed, starts_at, ends_at):
        return f"No window opens between {_time(starts_at)} and the end, {_time(ends_at)}, in any time zone."
    return None


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
