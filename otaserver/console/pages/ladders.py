"""Ladders: a campaign's waves with their vehicles, each number a link to the list of whom it counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.urls import reverse

from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.queries import Progress
from otaserver.campaigns.states import AssignmentState
from otaserver.console import queries

_LIST = "console:campaigns_assignment_changelist"
_BAR = ("failed", "succeeded", "soaking", "under way", "neutral", "waiting")


@dataclass(frozen=True)
class Count:
    """A number of vehicles, the list of whom is behind `address`; `states` are the exact ones that it sums."""

    kind: str
    vehicles: int
    address: str
    states: Sequence[tuple[str, int]] = ()
    percent: float = 0.0
    # Where its part of a bar begins.
    offset: float = 0.0


@dataclass(frozen=True)
class Rung:
    """One wave of the ladder."""

    wave: Wave
    counts: Sequence[Count]
    vehicles: int


def ladder(campaign: Campaign, waves: Sequence[Wave], progress: Progress) -> Sequence[Rung]:
    """Return the campaign's waves in order, each with its vehicles by kind."""
    rungs = []
    for wave in sorted(waves, key=lambda wave: wave.number):
        by_state = progress.by_wave.get(wave.number, {})
        vehicles = sum(by_state.values())
        counts = [count(campaign, wave, name, by_state, max(vehicles, wave.places)) for name in queries.COLUMNS]
        rungs.append(Rung(wave, _side_by_side(counts), vehicles))
    return rungs


def _side_by_side(counts: Sequence[Count]) -> Sequence[Count]:
    """Return the counts with their places in one bar: results first, what waits last."""
    ordered = sorted(counts, key=lambda each: _BAR.index(each.kind))
    offsets = {c.kind: sum(before.percent for before in ordered[:n]) for n, c in enumerate(ordered)}
    return [replace(each, offset=round(offsets[each.kind], 3)) for each in counts]


def count(campaign: Campaign, wave: Wave | None, kind: str, by_state: Mapping[str, int], of: int) -> Count:
    """Return how many vehicles of a campaign, or of one of its waves, are of a kind, and where they are listed."""
    states = queries.COLUMNS.get(kind, frozenset({AssignmentState.EXCLUDED}))
    parts = [(state, by_state[state]) for state in sorted(states) if by_state.get(state)]
    total = sum(number for _, number in parts)
    filters: dict[str, object] = {"state__in": ",".join(sorted(states))}
    filters |= {"campaign__id__exact": campaign.pk} if wave is None else {"wave__id__exact": wave.pk}
    return Count(kind, total, list_of(**filters), parts, round(100 * total / of, 3) if of else 0.0)


def list_of(**filters: object) -> str:
    """Return the address of the list of assignments with these filters."""
    return f"{reverse(_LIST)}?{urlencode(filters)}"
