"""Decisions of the supervisor: pure, no Django."""

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0


def restart_delay(deaths: int) -> float:
    """Return the seconds to wait before starting a process again that has died `deaths` times in a row."""
    return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(deaths - 1, 16)))
