"""The forecast of a plan that is being reviewed: a worker makes it, since it takes longer than a page may."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from otaserver import clock
from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Campaign
from otaserver.console import sentences
from otaserver.console.pages.base import versioned
from otaserver.console.pages.control_room import CampaignPage


@dataclass(frozen=True)
class PlanOutlook:
    """What is shown of it: outlooks by failure rate, or a sentence that says why there are none."""

    version: str
    said: str
    is_refused: bool = False
    fitting: int = 0
    outlooks: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


class PlanForecast(CampaignPage):
    """The changing part of the review; whoever asks for what they have is told that it is the same."""

    template = "console/plan_forecast.html"

    def get(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        found = kept_forecast(self.campaign())
        return versioned(request, found.version, lambda: self.render("", forecast=found))


def kept_forecast(campaign: Campaign) -> PlanOutlook:
    """Return what is kept of the campaign as it is now, or that it is being made."""
    row = queries.forecast_row(campaign)
    if row is None or not operations.is_fresh(campaign, row, at=clock.now()):
        return PlanOutlook('"none"', _("The forecast is being made; it appears here by itself."))
    version = f'"{row.revision}-{row.made_at.timestamp():.6f}"'
    if row.refusal:
        return PlanOutlook(version, sentences.of(row.refusal), is_refused=True)
    return PlanOutlook(version, _("The forecast is here."), fitting=row.fitting, outlooks=row.outlooks)
