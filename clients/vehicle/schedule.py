"""When to come again: the server's interval, and a jittered exponential back-off when things go wrong."""

import random

FIRST_DELAY_SECONDS = 5.0
LONGEST_DELAY_SECONDS = 3600.0
DAY_SECONDS = 86_400.0


def after_success(polling_seconds: float, rng: random.Random) -> float:
    """Return the server's interval, spread by ±10 % so that a fleet does not march in step."""
    return polling_seconds * rng.uniform(0.9, 1.1)


def after_failure(
    failures: int, polling_seconds: float, retry_after_seconds: float | None, rng: random.Random
) -> float:
    """Return the delay after the `failures`-th failure in a row: doubling, half of it random.

    It is never shorter than Retry-After, and never longer than a day.
    """
    first = min(FIRST_DELAY_SECONDS, polling_seconds)
    longest = max(LONGEST_DELAY_SECONDS, polling_seconds)
    delay = min(first * 2.0 ** min(failures - 1, 30), longest) * rng.uniform(0.5, 1.0)
    if retry_after_seconds is None:
        return delay
    return min(max(delay, retry_after_seconds * rng.uniform(1.0, 1.1)), DAY_SECONDS)
