"""When a delivery is tried again, and when it is given up: about three days, in ten tries."""

from datetime import datetime, timedelta

_MINUTE, _HOUR = 60, 3600
# Seconds after the first try, the second, and so on.
PAUSES = (5, 30, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 22 * _HOUR, 32 * _HOUR)
TRIES = len(PAUSES) + 1
# Each pause is up to this fraction longer, so that what failed together is not tried together.
JITTER = 0.2
# An endpoint that has answered nothing well for so long is paused.
FAILING = timedelta(days=3)
# An endpoint that does not work at all rests between two tries, whatever is due to it.
MAX_REST_SECONDS = 300


def next_try(tries: int, *, at: datetime, draw: float) -> datetime | None:
    """Return when to try again after so many tries, or None at the end; `draw` is a random number from 0 to 1."""
    if tries >= TRIES:
        return None
    return at + timedelta(seconds=PAUSES[tries - 1] * (1 + JITTER * draw))


def rest(failures: int) -> timedelta:
    """Return how long an endpoint rests that has failed so many times in a row."""
    return timedelta(seconds=min(MAX_REST_SECONDS, 2 ** min(failures, 20)))


def must_pause(failing_since: datetime, *, at: datetime) -> bool:
    """Return whether an endpoint has failed for so long that it is paused."""
    return at - failing_since >= FAILING
