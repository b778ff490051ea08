"""Several campaigns that want one vehicle: who goes first, who may take an order away, and what is newer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from otaserver.campaigns.states import CampaignKind, CampaignPriority

MAX_REQUIREMENTS = 20


@dataclass(frozen=True)
class Contender:
    """A running campaign, as far as its place among others goes."""

    priority: int
    kind: str
    started_at: datetime
    pk: int

    @property
    def place(self) -> tuple[int, bool, datetime, int]:
        """Its place in the queue, the lowest first; no two are equal."""
        # The higher class first, in it what brings vehicles back, then what started earlier.
        return self.priority, self.kind != CampaignKind.ROLLBACK, self.started_at, self.pk


def goes_before(one: Contender, other: Contender) -> bool:
    """Return whether `one` gets a vehicle first whose turn has come in both."""
    return one.place < other.place


def disturbs_soaks(*, priority: int, kind: str) -> bool:
    """Return whether a campaign may give orders to a vehicle on which another campaign's software still soaks.

    Only what cannot wait: a safety recall, and a roll-back. For all others the whole vehicle is closed, not the ECU
    alone: a fault that shows in the soak could not be laid to one of two changes.
    """
    return kind == CampaignKind.ROLLBACK or priority == CampaignPriority.SAFETY_RECALL


def is_newer(new: Mapping[str, int], old: Mapping[str, int], *, started_later: bool) -> bool:
    """Return whether a release overtakes another one of the same packages; both by name, with their release counters.

    Counters decide where they differ, all in one direction; where they are equal, the campaign that started later.
    """
    if set(new) != set(old) or any(new[name] < old[name] for name in new):
        return False
    return started_later or any(new[name] > old[name] for name in new)
