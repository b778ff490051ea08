"""What was forecast of a campaign beside what has come of it: figures by now and in the end, and when waves end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.queries import Course, KeptForecast, Progress
from otaserver.campaigns.rules.prospects import KINDS
from otaserver.campaigns.states import NEUTRAL_STATES, AssignmentState, CampaignKind, CampaignState
from otaserver.console import sentences

_WORDS = {
    "succeeded": gettext_lazy("Succeeded"),
    "failed": gettext_lazy("Failed"),
    "neutral": gettext_lazy("No result"),
    "length": gettext_lazy("Bytes ordered"),
}
_NOT_STARTED = frozenset(
    {CampaignState.DRAFT, CampaignState.IN_REVIEW, CampaignState.APPROVED, CampaignState.SCHEDULED}
)


@dataclass(frozen=True)
class Figure:
    """One kind of number: so far, and for each forecast what it was to be by now and in the end."""

    kind: str
    word: str
    so_far: float
    expected: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class WaveEnd:
    """When a wave ended, and when it was to end by each forecast."""

    wave: Wave
    expected: Sequence[datetime | None]


@dataclass(frozen=True)
class Expectations:
    forecast: KeptForecast
    figures: Sequence[Figure]
    waves: Sequence[WaveEnd]


def expectations(
    campaign: Campaign,
    forecast: KeptForecast,
    *,
    progress: Progress,
    course: Course | None,
    waves: Sequence[Wave],
    at: datetime,
) -> Expectations:
    """Return the forecast beside what has come of the campaign by `at`, or by its end."""
    moment = campaign.finished_at or at
    elapsed = forecast.elapsed(moment) if campaign.started_at is not None else 0.0
    so_far = _so_far(progress, course)
    prospects = [outlook.prospect for outlook in forecast.outlooks]
    figures = [
        Figure(
            kind,
            str(_WORDS[kind]),
            so_far[kind],
            [(getattr(each.by(elapsed), kind), getattr(each.in_the_end, kind)) for each in prospects],
        )
        for kind in KINDS
    ]
    ends = [forecast.wave_ends(outlook) for outlook in forecast.outlooks]
    # A plan that was changed since may have more waves than were forecast.
    listed = [
        WaveEnd(wave, [each[n] for each in ends]) for n, wave in enumerate(waves) if all(n < len(e) for e in ends)
    ]
    return Expectations(forecast, figures, listed)


def _so_far(progress: Progress, course: Course | None) -> dict[str, float]:
    counted = progress.by_state
    return {
        "succeeded": counted.get(AssignmentState.SUCCEEDED, 0),
        "failed": counted.get(AssignmentState.FAILED, 0),
        "neutral": sum(counted.get(state, 0) for state in NEUTRAL_STATES),
        "length": sum(bar.length for bar in course.bars) if course is not None else 0,
    }


def no_forecast(campaign: Campaign, refusal: str) -> str:
    """Return in a sentence why there is none to show, and what one may do about it."""
    if refusal:
        return sentences.of(refusal)
    if campaign.kind != CampaignKind.ROLLOUT:
        return _("Only campaigns in waves are forecast; this one goes to all its vehicles as they call.")
    if campaign.state == CampaignState.DRAFT:
        return _("A forecast is made once the draft is sent for approval.")
    if campaign.state in _NOT_STARTED:
        return _("The forecast is being made; it appears here by itself.")
    return _("No forecast was made before this campaign started, and now none can be.")
