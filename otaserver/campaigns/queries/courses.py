"""How a campaign went in time: outcomes as they settled, and the bytes that it made vehicles fetch."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Sum
from django.db.models.functions import TruncDay, TruncHour, TruncMinute, TruncSecond

from otaserver.campaigns.models import Attempt, Campaign
from otaserver.campaigns.states import NEUTRAL_STATES, AssignmentState, CampaignState

BARS = 48
# The finest grain that divides a span without a bar for every second of a year.
_GRAINS: Sequence[tuple[timedelta, type[Any], timedelta]] = (
    (timedelta(hours=1), TruncSecond, timedelta(seconds=1)),
    (timedelta(days=2), TruncMinute, timedelta(minutes=1)),
    (timedelta(days=90), TruncHour, timedelta(hours=1)),
    (timedelta.max, TruncDay, timedelta(days=1)),
)
_COUNTED = frozenset({AssignmentState.SUCCEEDED, AssignmentState.FAILED}) | NEUTRAL_STATES


@dataclass(frozen=True)
class Bar:
    """What happened in the span that begins at `at`: ends by kind, and bytes of the attempts opened in it."""

    at: datetime
    succeeded: int
    failed: int
    neutral: int
    length: int


@dataclass(frozen=True)
class Course:
    """A campaign from its start until now, or until it ended, in bars of equal width."""

    starts_at: datetime
    width: timedelta
    bars: Sequence[Bar]

    @property
    def hours(self) -> float:
        return self.width.total_seconds() * len(self.bars) / 3600


def course(campaign: Campaign, *, at: datetime) -> Course | None:
    """Return how a campaign went until `at`, or until it stopped, in three queries; None before its start."""
    if campaign.started_at is None:
        return None
    start = campaign.started_at
    span = max((campaign.finished_at or _stopped_at(campaign) or at) - start, timedelta(seconds=1))
    trunc, grain = grain_of(span)
    width = grain * max(1, -(-span // (grain * BARS)))
    ended = (
        campaign.assignments.filter(state__in=sorted(_COUNTED), settled_at__gte=start - grain)
        .order_by()
        .annotate(moment=trunc("settled_at"))
        .values_list("moment", "state")
        .annotate(count=Count("pk"))
    )
    offered = (
        Attempt.objects.filter(assignment__campaign=campaign)
        .order_by()
        .annotate(moment=trunc("opened_at"))
        .values_list("moment")
        .annotate(total=Sum("length"))
    )
    bars = int(span // width) + 1
    counts = _by_bar(((moment, _kind(state), count) for moment, state, count in ended), start, width, bars)
    lengths = _by_bar(((moment, "length", total) for moment, total in offered), start, width, bars)
    return Course(start, width, [_bar(start + n * width, counts[n], lengths[n]["length"]) for n in range(bars)])


def _stopped_at(campaign: Campaign) -> datetime | None:
    """Return when a halted campaign was last decided on: from there on only what is under way ends by itself."""
    if campaign.state != CampaignState.HALTED:
        return None
    last: datetime | None = campaign.decisions.aggregate(last=Max("at"))["last"]
    return last


def grain_of(span: timedelta) -> tuple[type[Any], timedelta]:
    """Return by what the database cuts times of such a span into pieces, and how long one is."""
    return next((trunc, grain) for most, trunc, grain in _GRAINS if span <= most)


def _kind(state: str) -> str:
    return "neutral" if state in NEUTRAL_STATES else state


def _by_bar(
    rows: Iterable[tuple[datetime, str, int]], start: datetime, width: timedelta, bars: int
) -> Sequence[Counter[str]]:
    found: list[Counter[str]] = [Counter() for _ in range(bars)]
    for moment, kind, count in rows:
        # Truncated, a moment may lie before the start; late reports come after the end.
        place = min(max(int((moment - start) // width), 0), bars - 1)
        found[place][kind] += count
    return found


def _bar(at: datetime, counts: Mapping[str, int], length: int) -> Bar:
    return Bar(
        at=at,
        succeeded=counts.get(AssignmentState.SUCCEEDED, 0),
        failed=counts.get(AssignmentState.FAILED, 0),
        neutral=counts.get("neutral", 0),
        length=length,
    )
