"""What the console's pages show that no domain app asks for by itself."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from otaserver.campaigns import queries as campaign_queries
from otaserver.campaigns.models import Attempt, Campaign, Report, Wave
from otaserver.campaigns.states import ACTIVE_STATES, NEUTRAL_STATES, AssignmentState, WaveState
from otaserver.console import words
from otaserver.console.failure_words import with_meaning
from otaserver.console.tables import NOTHING, badge, moment
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle

REPORTS_SHOWN = 100
REPORT_HEADERS = [
    _("received"),
    _("attempt"),
    _("ECU"),
    _("phase"),
    _("outcome"),
    _("code"),
    _("message"),
    _("measured"),
    _("progress"),
]
COLUMNS: Mapping[str, frozenset[str]] = {
    "waiting": frozenset({AssignmentState.WAITING}),
    "under way": ACTIVE_STATES,
    "soaking": frozenset({AssignmentState.SOAKING}),
    "succeeded": frozenset({AssignmentState.SUCCEEDED}),
    "failed": frozenset({AssignmentState.FAILED}),
    "neutral": NEUTRAL_STATES,
}
LADDER_COLUMNS = tuple(COLUMNS)
_CURRENT_WAVE = [WaveState.OPEN, WaveState.MATURING, WaveState.UNDECIDED]


@dataclass(frozen=True)
class Progress:
    """Where a campaign stands, in a list's row."""

    wave: str
    counts: Mapping[str, int]

    @property
    def sentence(self) -> str:
        shown = [f"{number} {words.of_state(state)}" for state, number in self.counts.items() if number]
        return ", ".join(shown) or NOTHING


@dataclass(frozen=True)
class Step:
    """One wave of the ladder: how many vehicles each of LADDER_COLUMNS counts, and the states that it means."""

    wave: Wave
    cells: Sequence[tuple[int, Sequence[str]]]


def campaign_progress(campaign_ids: Sequence[int]) -> Mapping[int, Progress]:
    """Return the progress of several campaigns, in two queries."""
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for campaign_id, found in campaign_queries.progress_of(campaign_ids).items():
        for state, number in found.by_state.items():
            counts[campaign_id][_column(state)] += number
    current = Wave.objects.filter(campaign__in=campaign_ids, state__in=_CURRENT_WAVE)
    waves = {wave.campaign_id: f"{wave.number}, {words.of_state(wave.state)}" for wave in current}
    ordered = (*COLUMNS, AssignmentState.EXCLUDED.value)
    return {
        pk: Progress(waves.get(pk, ""), {name: counts[pk][name] for name in ordered if counts[pk][name]})
        for pk in campaign_ids
    }


def ladder(campaign: Campaign) -> Sequence[Step]:
    """Return the campaign's waves in order with their vehicles, in two queries."""
    by_wave = campaign_queries.progress(campaign).by_wave
    return [
        Step(wave, _cells(by_wave.get(wave.number, {})))
        for wave in campaign.waves.select_related("group").order_by("number")
    ]


def intended_targets(vehicle: Vehicle) -> Mapping[str, str]:
    """Return which target each ECU is directed to, by serial; ECUs that stay as they are have none."""
    direction = Direction.objects.filter(vehicle=vehicle).first()
    content: dict[str, Any] = (direction.content if direction else None) or {"targets": {}}
    return {
        serial: name for name, target in content["targets"].items() for serial in target["custom"]["ecuIdentifiers"]
    }


def reports_of(attempts: Iterable[Attempt]) -> Sequence[Sequence[Any]]:
    """Return the last reports of these attempts as rows under REPORT_HEADERS."""
    found = Report.objects.filter(attempt__in=[attempt.pk for attempt in attempts]).select_related("attempt")
    return [
        [
            moment(report.received_at),
            report.attempt.number,
            report.ecu_serial or NOTHING,
            words.of_state(report.phase),
            NOTHING if report.outcome == "none" else badge(report.outcome),
            with_meaning(report.code),
            report.message or NOTHING,
            ", ".join(f"{name} {value}" for name, value in report.measured.items()) or NOTHING,
            NOTHING if report.progress is None else f"{report.progress} %",
        ]
        for report in found.order_by("-received_at", "-pk")[:REPORTS_SHOWN]
    ]


def _cells(by_state: Mapping[str, int]) -> Sequence[tuple[int, Sequence[str]]]:
    return [(sum(by_state.get(state, 0) for state in states), sorted(states)) for states in COLUMNS.values()]


def _column(state: str) -> str:
    for name, states in COLUMNS.items():
        if state in states:
            return name
    return state
