"""The console's first page: what runs, what waits for a person, what will end soon."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Q, QuerySet

from firmware_store.models import RoleMetadata
from otaserver.audit.models import Entry
from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.states import CampaignState, WaveState
from otaserver.console import queries
from otaserver.console.tables import NOTHING, Table, badge, link_to, moment
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant

SEEN_WITHIN = timedelta(hours=24)
ENDS_WITHIN = timedelta(days=30)
# The server signs these itself, long before their end.
ONLINE_ROLES = ("snapshot", "timestamp")
ROWS_SHOWN = 20


@dataclass(frozen=True)
class Figure:
    title: str
    value: int
    note: str


@dataclass(frozen=True)
class Dashboard:
    stopped: Sequence[Tenant]
    figures: Sequence[Figure]
    tables: Sequence[Table]


def dashboard(tenants: QuerySet[Tenant], *, audited: QuerySet[Tenant], at: datetime) -> Dashboard:
    """Return the first page for someone who sees `tenants`, and the audit records of `audited`."""
    tables = [_running(tenants), _waiting(tenants), _ending(tenants, at=at)]
    if audited.exists():
        tables.append(_records(audited))
    return Dashboard(
        stopped=list(tenants.filter(stopped_at__isnull=False)), figures=_figures(tenants, at=at), tables=tables
    )


def _figures(tenants: QuerySet[Tenant], *, at: datetime) -> Sequence[Figure]:
    vehicles = Vehicle.objects.filter(tenant__in=tenants).aggregate(
        enrolled=Count("pk", filter=Q(enrolled_at__isnull=False)),
        seen=Count("pk", filter=Q(last_contact_at__gte=at - SEEN_WITHIN)),
        blocked=Count("pk", filter=Q(blocked_at__isnull=False)),
    )
    campaigns = Campaign.objects.filter(tenant__in=tenants).aggregate(
        running=Count("pk", filter=Q(state=CampaignState.RUNNING)),
        halted=Count("pk", filter=Q(state=CampaignState.HALTED)),
    )
    return [
        Figure("Vehicles", vehicles["enrolled"], "enrolled"),
        Figure("Seen", vehicles["seen"], "in the last 24 hours"),
        Figure("Blocked", vehicles["blocked"], "offered nothing"),
        Figure("Running", campaigns["running"], "campaigns"),
        Figure("Halted", campaigns["halted"], "campaigns"),
    ]


def _running(tenants: QuerySet[Tenant]) -> Table:
    found = list(
        Campaign.objects.filter(tenant__in=tenants, state__in=[CampaignState.RUNNING, CampaignState.PAUSED])
        .select_related("release", "tenant")
        .order_by("-started_at")[:ROWS_SHOWN]
    )
    progress = queries.campaign_progress([campaign.pk for campaign in found])
    rows = [
        [
            link_to(campaign),
            campaign.tenant.name,
            str(campaign.release),
            badge(campaign.state),
            progress[campaign.pk].wave or NOTHING,
            progress[campaign.pk].sentence,
        ]
        for campaign in found
    ]
    return Table("Under way", ["campaign", "tenant", "release", "state", "wave", "vehicles"], rows)


def _waiting(tenants: QuerySet[Tenant]) -> Table:
    campaigns = (
        Campaign.objects.filter(tenant__in=tenants, state__in=[CampaignState.HALTED, CampaignState.IN_REVIEW])
        .select_related("tenant")
        .order_by("-created_at")[:ROWS_SHOWN]
    )
    waves = Wave.objects.filter(campaign__tenant__in=tenants, state=WaveState.UNDECIDED).select_related(
        "campaign__tenant"
    )
    rows = [
        [link_to(campaign), campaign.tenant.name, badge(campaign.state), campaign.reason or NOTHING]
        for campaign in campaigns
    ]
    rows += [
        [
            link_to(wave.campaign),
            wave.campaign.tenant.name,
            badge(wave.state),
            f"Wave {wave.number} asks for a decision.",
        ]
        for wave in waves
    ]
    return Table("Waiting for a person", ["campaign", "tenant", "state", "why"], rows)


def _ending(tenants: QuerySet[Tenant], *, at: datetime) -> Table:
    """Signed metadata made off the server that will have to be signed again soon: only its newest version counts."""
    newest = (
        RoleMetadata.objects.filter(tenant__in=tenants)
        .exclude(role__in=ONLINE_ROLES)
        .values("tenant__name", "repository", "role")
        .annotate(ends_at=Max("expires_at"))
        .filter(ends_at__lte=at + ENDS_WITHIN)
        .order_by("ends_at")
    )
    rows = [[row["role"], row["repository"], row["tenant__name"], moment(row["ends_at"])] for row in newest]
    return Table("Signed metadata that ends within 30 days", ["role", "repository", "tenant", "ends"], rows)


def _records(tenants: QuerySet[Tenant]) -> Table:
    found = Entry.objects.filter(tenant__in=tenants).select_related("tenant").order_by("-at", "-pk")[:ROWS_SHOWN]
    rows = [[moment(e.at), e.tenant.name, e.actor, link_to(e, e.action), e.subject] for e in found]
    return Table("Last decisions", ["at", "tenant", "by", "action", "subject"], rows)
