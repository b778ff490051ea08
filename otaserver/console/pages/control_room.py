"""The control room of one campaign: where it stands, why, and what can be done about it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponseNotModified
from django.http.response import HttpResponseBase

from otaserver import clock
from otaserver.campaigns import queries as campaigns
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import AssignmentState, WaveState
from otaserver.console import charts, queries
from otaserver.console.access import permissions_in
from otaserver.console.pages import actions, ladders
from otaserver.console.pages.base import Page, is_fragment
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
        version = _version(request, campaign, progress, permissions)
        if is_fragment(request) and request.headers.get("If-None-Match") == version:
            return HttpResponseNotModified(headers={"ETag": version})
        context = {"campaign": campaign, "version": version, **_shown(campaign, progress, permissions, at=at)}
        template = "console/control_room_live.html" if is_fragment(request) else self.template
        answer = self.render(campaign.name, template=template, **context)
        answer.headers["ETag"] = version
        answer.headers["Cache-Control"] = "no-store"
        return answer


def _version(
    request: HttpRequest, campaign: Campaign, progress: campaigns.Progress, permissions: frozenset[Permission]
) -> str:
    """Return what changes whenever the page would look otherwise, at the price of two small queries."""
    last = campaign.decisions.aggregate(last=Max("pk"))["last"]
    reading = campaign.gate_readings.aggregate(last=Max("number"))["last"]
    counts = sorted((str(wave), state, n) for wave, each in progress.by_wave.items() for state, n in each.items())
    approvals = campaign.approvals.count()
    seen = [campaign.revision, campaign.state, last, reading, counts, approvals, sorted(permissions)]
    # The words too: the same numbers in another language or another zone are another page.
    seen += [getattr(request, "LANGUAGE_CODE", ""), request.COOKIES.get("console_zone", "")]
    return f'"{hashlib.sha256(json.dumps(seen, default=str).encode()).hexdigest()[:32]}"'


def _shown(
    campaign: Campaign, progress: campaigns.Progress, permissions: frozenset[Permission], *, at: datetime
) -> Mapping[str, Any]:
    paths = campaigns.evidence_paths(campaign)
    course = campaigns.course(campaign, at=at)
    found = actions.possible(campaign, permissions)
    return {
        "actions": [action for action in found if action.tone != "stop"],
        "stop": next((action for action in found if action.tone == "stop"), None),
        "progress": progress,
        "total": [ladders.count(campaign, None, name, progress.by_state, progress.total) for name in queries.COLUMNS],
        "excluded": ladders.count(campaign, None, "excluded", progress.by_state, progress.total),
        "rungs": ladders.ladder(campaign, list(campaign.waves.select_related("group")), progress),
        "undecided": campaign.waves.filter(state=WaveState.UNDECIDED).first(),
        "may_decide": Permission.MANAGE_CAMPAIGNS in permissions,
        "gate": charts.gate_chart(paths[0]) if paths else None,
        "strata": [charts.gate_chart(path, height=150) for path in paths[1:]],
        "verdict": campaigns.gate_view(campaign).verdict if paths else None,
        "signals": campaigns.signal_views(campaign),
        "outcomes": charts.outcome_chart(course) if course else None,
        "load": charts.load_chart(course) if course else None,
        **_failures(campaign),
        "approvals": campaigns.approval_view(campaign),
        "decisions": campaigns.decisions(campaign)[:DECISIONS_SHOWN],
        "rollbacks": campaign.rollbacks.order_by("pk"),
    }


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
