"""How the server stands, in numbers for those who watch it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Max, Min, Q, Sum
from django.db.models.functions import Coalesce

from firmware_store.trust.queries import newest_metadata
from otaserver.audit.models import Chain
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.states import ACTIVE_STATES, CampaignState
from otaserver.events.models import Delivery, Heartbeat, Mail
from otaserver.events.states import DeliveryState, MailState

_UNDER_WAY = [CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED]


@dataclass(frozen=True)
class Expiry:
    """For how many days yet a role's metadata is good."""

    tenant: str
    repository: str
    role: str
    days: float


@dataclass(frozen=True)
class Standing:
    """Ages in seconds; None: there is nothing whose age could be told."""

    assignments: dict[str, int]
    campaigns: dict[str, int]
    open_orders: int
    pending_deliveries: int
    pending_letters: int
    untold: int
    tick_age: float | None
    beat_age: float | None
    expiries: tuple[Expiry, ...]


def standing(at: datetime) -> Standing:
    """Return how the server stands, in a number of queries that does not grow with it."""
    rows = Assignment.objects.filter(campaign__state__in=_UNDER_WAY).order_by()
    running = Campaign.objects.filter(state=CampaignState.RUNNING)
    last_tick = running.aggregate(last=Min(Coalesce("advanced_at", "started_at")))["last"]
    assignments = _counts(rows.values_list("state").annotate(count=Count("pk")))
    return Standing(
        assignments=assignments,
        campaigns=_counts(Campaign.objects.order_by().values_list("state").annotate(count=Count("pk"))),
        open_orders=sum(count for state, count in assignments.items() if state in ACTIVE_STATES),
        pending_deliveries=Delivery.objects.filter(state=DeliveryState.PENDING).count(),
        pending_letters=Mail.objects.filter(state=MailState.PENDING).count(),
        untold=_untold(),
        tick_age=_age(last_tick, at),
        beat_age=beat_age(at),
        expiries=tuple(
            Expiry(row.tenant.name, row.repository, row.role, (row.expires_at - at).total_seconds() / 86400)
            for row in newest_metadata().select_related("tenant").defer("body")
        ),
    )


def beat_age(at: datetime) -> float | None:
    """Return the seconds since a task of the clock last ran, or None: none ever did."""
    return _age(Heartbeat.objects.aggregate(last=Max("at"))["last"], at)


def _untold() -> int:
    news = Q(tenant__event_feed=None) | Q(length__gt=F("tenant__event_feed__position"))
    gap = F("length") - Coalesce(F("tenant__event_feed__position"), 0)
    return Chain.objects.filter(news).aggregate(sum=Sum(gap))["sum"] or 0


def _counts(rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict(rows)


def _age(then: datetime | None, at: datetime) -> float | None:
    return None if then is None else max(0.0, (at - then).total_seconds())
