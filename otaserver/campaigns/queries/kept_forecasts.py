"""What was forecast of a campaign, in the form in which it is held against what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from otaserver.campaigns.forecast_models import CampaignForecast
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.rules.prospects import Prospect, Tally


@dataclass(frozen=True)
class KeptOutlook:
    """What was expected at one true failure rate; seconds count from the start."""

    rate: float
    halted: float
    broken: float
    wave_ends: Sequence[float | None]
    prospect: Prospect


@dataclass(frozen=True)
class KeptForecast:
    """A campaign's forecast. Its times are those of the real start, once there is one."""

    made_at: datetime
    basis: str
    starts_at: datetime
    fitting: int
    outlooks: Sequence[KeptOutlook]

    def elapsed(self, at: datetime) -> float:
        return max((at - self.starts_at).total_seconds(), 0.0)

    def bar(self, at: datetime) -> int:
        """Return a number that changes whenever something more was to have happened by then, and in the end no more."""
        first = self.outlooks[0].prospect
        return min(int(self.elapsed(at) // first.bar_seconds), len(first.bars))

    def wave_ends(self, outlook: KeptOutlook) -> Sequence[datetime | None]:
        """Return when each wave was to have ended; None where in most runs it never does."""
        return [None if end is None else self.starts_at + timedelta(seconds=end) for end in outlook.wave_ends]


def forecast_row(campaign: Campaign) -> CampaignForecast | None:
    """Return the forecast that is kept of a campaign, or why nothing can be said; None: none was made."""
    return CampaignForecast.objects.filter(campaign=campaign).first()


def kept_forecast(campaign: Campaign, row: CampaignForecast | None) -> KeptForecast | None:
    """Return what is kept in a row; None where it says nothing."""
    if row is None or row.starts_at is None:
        return None
    starts_at = campaign.started_at or row.starts_at
    return KeptForecast(row.made_at, row.basis, starts_at, row.fitting, [_outlook(each) for each in row.outlooks])


def _outlook(stored: Mapping[str, Any]) -> KeptOutlook:
    course = stored["prospect"]
    return KeptOutlook(
        rate=stored["rate"],
        halted=stored["halted"],
        broken=stored["broken"],
        wave_ends=stored["wave_ends"],
        prospect=Prospect(course["bar_seconds"], [Tally(**each) for each in course["bars"]]),
    )
