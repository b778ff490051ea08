"""The console's first page: the fleet, what runs, what waits for a person, what fails, what will end soon."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from firmware_store.models import RoleMetadata
from firmware_store.trust.queries import newest_metadata
from otaserver.audit.models import Entry
from otaserver.campaigns import queries as campaigns
from otaserver.campaigns.models import Assignment, Campaign, Wave, WorkshopCase
from otaserver.campaigns.states import AssignmentState, CampaignState, WaveState
from otaserver.console import charts, sentences
from otaserver.console.pages import ladders
from otaserver.console.pages.ladders import Rung, list_of
from otaserver.console.tables import moment
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.contact_hours import last_contact
from otaserver.fleet.models import Vehicle
from otaserver.fleet.states import AuthenticationState
from otaserver.tenants.models import Tenant

SEEN_WITHIN = timedelta(hours=24)
ENDS_WITHIN = timedelta(days=30)
FAILED_WITHIN = timedelta(days=7)
# The server signs these itself, long before their end.
ONLINE_ROLES = ("snapshot", "timestamp")
ROWS_SHOWN = 20
RECORDS_SHOWN = 8


@dataclass(frozen=True)
class Figure:
    title: str
    value: int
    address: str


@dataclass(frozen=True)
class Running:
    """A campaign under way with its waves."""

    campaign: Campaign
    rungs: Sequence[Rung]
    progress: campaigns.Progress


@dataclass(frozen=True)
class Errand:
    """Something that needs a person: what, why, and where it is done."""

    kind: str
    what: str
    why: str
    address: str


@dataclass(frozen=True)
class Dashboard:
    figures: Sequence[Figure]
    running: Sequence[Running]
    errands: Sequence[Errand]
    fleet: campaigns.FleetReleases
    chart: charts.FleetChart
    failures: Sequence[tuple[str, int, str]]
    records: Sequence[Entry]
    may_plan: bool


def dashboard(
    tenants: QuerySet[Tenant], *, audited: QuerySet[Tenant], managed: QuerySet[Tenant], at: datetime
) -> Dashboard:
    """Return the first page for someone who sees `tenants`, the audit records of `audited`, and manages `managed`."""
    known, may_plan = list(tenants), frozenset(managed.values_list("pk", flat=True))
    fleet = campaigns.fleet_releases(known, at=at)
    return Dashboard(
        figures=_figures(known, at=at),
        running=_running(known),
        errands=[
            *_campaigns(known),
            *_waves(known, managed=may_plan),
            *_ending(known, at=at),
            *_workshop(known),
            *_devices(known),
        ],
        fleet=fleet,
        chart=charts.fleet_chart(fleet),
        failures=_failures(known, at=at),
        may_plan=bool(may_plan),
        records=list(
            Entry.objects.filter(tenant__in=audited).select_related("tenant").order_by("-at", "-pk")[:RECORDS_SHOWN]
        ),
    )


def _figures(tenants: Sequence[Tenant], *, at: datetime) -> Sequence[Figure]:
    since, is_enrolled = at - SEEN_WITHIN, Q(enrolled_at__isnull=False)
    vehicles = Vehicle.objects.filter(tenant__in=tenants).aggregate(
        enrolled=Count("pk", filter=is_enrolled),
        seen=Count("pk", filter=last_contact("gte", since) & is_enrolled),
        blocked=Count("pk", filter=Q(blocked_at__isnull=False)),
    )
    states = Campaign.objects.filter(tenant__in=tenants).aggregate(
        running=Count("pk", filter=Q(state=CampaignState.RUNNING)),
        halted=Count("pk", filter=Q(state=CampaignState.HALTED)),
        in_review=Count("pk", filter=Q(state=CampaignState.IN_REVIEW)),
    )
    listed, drawn = reverse("console:fleet_vehicle_changelist"), reverse("console:campaigns_campaign_changelist")
    return [
        Figure(_("Vehicles enrolled"), vehicles["enrolled"], f"{listed}?enrolled_at__isempty=0"),
        Figure(
            _("Seen in the last day"),
            vehicles["seen"],
            f"{listed}?enrolled_at__isempty=0&last_contact_at__gte={since:%Y-%m-%dT%H:%M:%SZ}",
        ),
        Figure(_("Vehicles blocked"), vehicles["blocked"], f"{listed}?blocked_at__isempty=0"),
        Figure(_("Campaigns running"), states["running"], f"{drawn}?state__exact={CampaignState.RUNNING}"),
        Figure(_("Campaigns halted"), states["halted"], f"{drawn}?state__exact={CampaignState.HALTED}"),
        Figure(_("Waiting for approval"), states["in_review"], f"{drawn}?state__exact={CampaignState.IN_REVIEW}"),
    ]


def _running(tenants: Sequence[Tenant]) -> Sequence[Running]:
    found = list(
        Campaign.objects.filter(tenant__in=tenants, state__in=[CampaignState.RUNNING, CampaignState.PAUSED])
        .select_related("release", "tenant")
        .prefetch_related("waves__group")
        .order_by("-started_at")[:ROWS_SHOWN]
    )
    progress = campaigns.progress_of([campaign.pk for campaign in found])
    return [
        Running(each, ladders.ladder(each, list(each.waves.all()), progress[each.pk]), progress[each.pk])
        for each in found
    ]


def _campaigns(tenants: Sequence[Tenant]) -> Sequence[Errand]:
    words: Mapping[str, str] = {
        CampaignState.IN_REVIEW: _("waits for approval"),
        CampaignState.HALTED: _("is halted"),
        CampaignState.APPROVED: _("is approved and not started"),
    }
    found = Campaign.objects.filter(tenant__in=tenants, state__in=list(words)).order_by("-created_at")[:ROWS_SHOWN]
    return [
        Errand(
            each.state,
            each.name,
            sentences.of(each.reason) or words[each.state],
            reverse("console:control_room", args=[each.pk]),
        )
        for each in found
    ]


def _waves(tenants: Sequence[Tenant], *, managed: Collection[int]) -> Sequence[Errand]:
    found = Wave.objects.filter(campaign__tenant__in=tenants, state=WaveState.UNDECIDED).select_related("campaign")
    return [
        Errand(
            wave.state,
            wave.campaign.name,
            _("Wave %(number)s asks a person.") % {"number": wave.number},
            # To whoever may not decide, the question would only say so.
            reverse("console:decide_wave", args=[wave.campaign_id, wave.number])
            if wave.campaign.tenant_id in managed
            else reverse("console:control_room", args=[wave.campaign_id]),
        )
        for wave in found[:ROWS_SHOWN]
    ]


def _ending(tenants: Sequence[Tenant], *, at: datetime) -> Sequence[Errand]:
    """Signed metadata made off the server that will have to be signed again soon: only its newest version counts."""
    ending: QuerySet[RoleMetadata] = newest_metadata().filter(tenant__in=tenants, expires_at__lte=at + ENDS_WITHIN)
    rows = ending.exclude(role__in=ONLINE_ROLES).defer("body").order_by("expires_at")
    return [
        Errand(
            "ending",
            f"{row.repository} {row.role}",
            _("Its signed metadata ends at %(at)s: sign it again.") % {"at": moment(row.expires_at)},
            reverse("console:keys"),
        )
        for row in rows.exclude(repository="director", role="targets")[:ROWS_SHOWN]
    ]


def _workshop(tenants: Sequence[Tenant]) -> Sequence[Errand]:
    number = WorkshopCase.objects.filter(vehicle__tenant__in=tenants, closed_at=None).count()
    address = f"{reverse('console:campaigns_workshopcase_changelist')}?closed_at__isempty=1"
    why = ngettext(
        "%(number)s case is open: no order over the air helps.",
        "%(number)s cases are open: no order over the air helps.",
        number,
    ) % {"number": number}
    return [Errand("workshop", _("Workshop"), why, address)] if number else []


def _devices(tenants: Sequence[Tenant]) -> Sequence[Errand]:
    pending = AuthenticationSet.objects.filter(tenant__in=tenants, state=AuthenticationState.PENDING)
    number = pending.exclude(requested_at=None).count()
    address = f"{reverse('console:fleet_authenticationset_changelist')}?state__exact={AuthenticationState.PENDING}"
    why = ngettext("%(number)s device asks to be let in.", "%(number)s devices ask to be let in.", number) % {
        "number": number
    }
    return [Errand("pending", _("Devices"), why, address)] if number else []


def _failures(tenants: Sequence[Tenant], *, at: datetime) -> Sequence[tuple[str, int, str]]:
    since = at - FAILED_WITHIN
    rows = Assignment.objects.filter(
        campaign__tenant__in=tenants, state=AssignmentState.FAILED, settled_at__gte=since
    ).order_by()
    counted = sorted(rows.values_list("code").annotate(count=Count("pk")), key=lambda row: (-row[1], row[0]))
    return [
        (code, count, list_of(state__exact="failed", code__exact=code, settled_at__gte=f"{since:%Y-%m-%dT%H:%M:%SZ}"))
        for code, count in counted[:ROWS_SHOWN]
    ]
