"""Nothing waits for ever: when a tick gives up on an assignment, by its state."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState

# The code of what was still pending when its campaign came to its end.
CAMPAIGN_ENDED = "campaign_ended"
MAX_RETRY_DELAY = timedelta(days=1)


@dataclass(frozen=True)
class Timeouts:
    """A campaign's patience, in seconds; `grace_hours` as in its orders."""

    offer_seconds: int
    download_seconds: int
    install_seconds: int
    soak_seconds: int
    grace_hours: int | None = None


def due_at(
    state: str, timeouts: Timeouts, *, at: datetime, offered_at: datetime | None, installing_at: datetime | None
) -> datetime | None:
    """Return when an assignment that enters `state` (or is heard of in it) at `at` is given up; None: never.

    `soaking` is not given up but succeeds then. A vehicle that keeps reporting before it installs is bounded too: it
    may take as long as one that is first heard of at the end of its offer.
    """
    if state == AssignmentState.SOAKING:
        return max((installing_at or at) + timedelta(seconds=timeouts.soak_seconds), at)
    if state == AssignmentState.INSTALLING:
        return (installing_at or at) + timedelta(seconds=timeouts.install_seconds)
    if state == AssignmentState.WITHDRAWING:
        # Within its permit it may begin, and then takes as long as an installation; later it cannot begin any more.
        return at + timedelta(hours=timeouts.grace_hours or 0, seconds=timeouts.install_seconds)
    if state not in ACTIVE_STATES:
        return None
    offer_ends = (offered_at or at) + timedelta(seconds=timeouts.offer_seconds)
    if state == AssignmentState.OFFERED:
        return offer_ends
    download = timedelta(seconds=timeouts.download_seconds)
    return min(at + download, offer_ends + download)


def retry_delay(retry_seconds: int, *, failures: int) -> timedelta:
    """Return how long an assignment waits after its nth failed attempt: twice as long each time, at most a day."""
    return min(timedelta(seconds=retry_seconds * (1 << min(failures - 1, 16))), MAX_RETRY_DELAY)
