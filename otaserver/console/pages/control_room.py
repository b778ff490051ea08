"""The control room of one campaign: where it stands, why, and what can be done about it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from otaserver import clock
from otaserver.campaigns import queries as campaigns
from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.states import AssignmentState, WaveState
from otaserver.console import charts, queries
from otaserver.console.access import permissions_in
from otaserver.console.pages import actions, ladders
from otaserver.console.pages.base import Page, is_fragment, versioned
from otaserver.console.pages.expectations import expectations, no_forecast
from otaserver.console.pages.ladders import Count
from otaserver.tenants.states import Permission

DECISIONS_SHOWN = 50


@dataclass(frozen=True)
class Group:
    """Failures of vehicles that are alike in something."""

    label: str
    failed: Count
    results: int

    @property
    def percent(self) -> float:
        return 100 * self.failed.vehicles / self.results if self.results else 0.0


class CampaignPage(Page):
    def campaigns(self) -> QuerySet[Campaign]:
        return Campaign.objects.select_related("tenant", "release", "group", "fallback_release", "rolls_back")

    def campaign(self) -> Campaign:
        return self.find(self.campaigns(), self.kwargs["pk"])


class ControlRoom(CampaignPage):
    template = "console/control_room.html"

    def get(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        campaign, at = self.campaign(), clock.now()
        permissions = permissions_in(self.person, campaign.tenant)
        progress = campaigns.progress(campaign)
        kept = _Kept(campaign, at=at)
        version = _version(request, campaign, progress, permissions, kept)
        template = "console/control_room_live.html" if is_fragment(request) else self.template

        def room() -> TemplateResponse:
            context = {"campaign": campaign, "version": version, **_shown(campaign, progress, permissions, kept, at=at)}
            return self.render(campaign.name, template=template, **context)

        return versioned(request, version, room)


class _Kept:
    """The forecast that is kept of a campaign, if there is one, and how far it should have come."""

    def __init__(self, campaign: Campaign, *, at: datetime) -> None:
        row = campaigns.forecast_row(campaign)
        self.forecast = campaigns.kept_forecast(campaign, row)
        self.refusal = row.refusal if row is not None else ""
        has_begun = self.forecast is not None and campaign.started_at is not None
        bar = self.forecast.bar(campaign.finished_at or at) if self.forecast is not None and has_begun else None
        self.version = [row.made_at if row is not None else None, bar]


def _version(
    request: HttpRequest,
    campaign: Campaign,
    progress: campaigns.Progress,
    permissions: frozenset[Permission],
    kept: _Kept,
) -> str:
    """Return what changes whenever the page would look otherwise, at the price of two small queries."""
    last = campaign.decisions.aggregate(last=Max("pk"))["last"]
    reading = campaign.gate_readings.aggregate(last=Max("number"))["last"]
    counts = sorted((str(wave), state, n) for wave, each in progress.by_wave.items() for state, n in each.items())
    approvals = campaign.approvals.count()
    seen = [kept.version, campaign.revision, campaign.state, last, reading, counts, approvals, sorted(permissions)]
    # The words too: the same numbers in another language or another zone are another page.
    seen += [getattr(request, "LANGUAGE_CODE", ""), request.COOKIES.get("console_zone", "")]
    return f'"{hashlib.sha256(json.dumps(seen, default=str).encode()).hexdigest()[:32]}"'


def _shown(
    campaign: Campaign,
    progress: campaigns.Progress,
    permissions: frozenset[Permission],
    kept: _Kept,
    *,
    at: datetime,
) -> Mapping[str, Any]:
    paths = campaigns.evidence_paths(campaign)
    waves = list(campaign.waves.select_related("group"))
    found = actions.possible(campaign, permissions)
    decided = list(campaigns.decisions(campaign)[: DECISIONS_SHOWN + 1])
    return {
        "actions": [action for action in found if action.tone != "stop"],
        "stop": next((action for action in found if action.tone == "stop"), None),
        "progress": progress,
        "total": [ladders.count(campaign, None, name, progress.by_state, progress.total) for name in queries.COLUMNS],
        "excluded": ladders.count(campaign, None, "excluded", progress.by_state, progress.total),
        "rungs": ladders.ladder(campaign, waves, progress),
        "undecided": campaign.waves.filter(state=WaveState.UNDECIDED).first(),
        "may_decide": Permission.MANAGE_CAMPAIGNS in permissions,
        "gate": charts.gate_chart(paths[0]) if paths else None,
        "strata": [charts.gate_chart(path, height=150) for path in paths[1:]],
        "verdict": campaigns.gate_view(campaign).verdict if paths else None,
        "signals": (signals := campaigns.signal_views(campaign)),
        "compared": [(view.name, view.comparison) for view in signals if view.comparison is not None],
        **_course(campaign, progress, kept, waves, at=at),
        **_failures(campaign),
        "approvals": campaigns.approval_view(campaign),
        "decisions": decided[:DECISIONS_SHOWN],
        "has_older_decisions": len(decided) > DECISIONS_SHOWN,
        "rollbacks": campaign.rollbacks.order_by("pk"),
    }


def _course(
    campaign: Campaign, progress: campaigns.Progress, kept: _Kept, waves: Sequence[Wave], *, at: datetime
) -> Mapping[str, Any]:
    """Return how it went in time, beside what was forecast, or why nothing was."""
    course, forecast = campaigns.course(campaign, at=at), kept.forecast
    found = {
        "outcomes": charts.outcome_chart(course, forecast) if course else None,
        "load": charts.load_chart(course, forecast) if course else None,
    }
    if forecast is None:
        return {**found, "no_forecast": no_forecast(campaign, kept.refusal)}
    beside = expectations(campaign, forecast, progress=progress, course=course, waves=waves, at=at)
    return {**found, "expectations": beside}


def _failures(campaign: Campaign) -> Mapping[str, Any]:
    found = campaigns.breakdown(campaign)
    failed = {"campaign__id__exact": campaign.pk, "state__exact": AssignmentState.FAILED.value}
    return {
        "failures": [_by_code(campaign, each) for each in found.failures],
        "neutral": [_by_code(campaign, each) for each in found.neutral],
        "by_hardware": [
            Group(
                each.label,
                Count("failed", each.failed, ladders.list_of(**failed, stratum__exact=each.label)),
                each.results,
            )
            for each in found.by_hardware
        ],
        "by_version": [
            Group(
                each.label,
                Count("failed", each.failed, ladders.list_of(**failed, configuration__in=_joined(each.configurations))),
                each.results,
            )
            for each in found.by_version
        ],
    }


def _by_code(campaign: Campaign, each: Any) -> tuple[str, Count, str]:
    address = ladders.list_of(campaign__id__exact=campaign.pk, state__exact=each.state, code__exact=each.code)
    return each.code, Count(each.state, each.vehicles, address), each.state


def _joined(values: Sequence[int]) -> str:
    return ",".join(map(str, values))
