"""Ends of assignments, told in batches and only where somebody asked: a campaign may have a million of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.states import SETTLED_STATES
from otaserver.events.models import Endpoint, Feed, ToldOutcome
from otaserver.events.operations import feed as feeds
from otaserver.events.rules import types as rules
from otaserver.events.rules.envelope import Object, data_of
from otaserver.events.states import EndpointState
from otaserver.tenants.models import Tenant

CHUNK = 500
# No transaction that settles a vehicle takes longer from its beginning to its end.
LOOK_BACK = timedelta(minutes=10)


def tenants_that_ask() -> Sequence[int]:
    """Return the tenants with an endpoint that wants the ends of assignments."""
    rows = Endpoint.objects.filter(state=EndpointState.ACTIVE)
    return sorted({endpoint.tenant_id for endpoint in _asking(rows)})


@transaction.atomic
def tell(tenant: Tenant, *, at: datetime) -> bool:
    """Tell the next ends of assignments, one event for each campaign; return whether there may be more.

    The first call only notes the time from which on ends are told.

    Raises:
        StaleStateError: another worker was faster.
    """
    feed = feeds.locked_feed(tenant)
    if feed.outcomes_since is None:
        Feed.objects.filter(pk=feed.pk).update(outcomes_since=at)
        return False
    # What ended while nobody asked is told to nobody who asks now; a paused endpoint has asked.
    since = max(feed.outcomes_since, _asked_since(tenant) or feed.outcomes_since)
    found = _untold(tenant, since)
    has_more = len(found) == CHUNK
    since = since if has_more else max(since, at - LOOK_BACK)
    feeds.store(feed, _drafts(tenant, found, at=at), at=at, outcomes_since=since)
    ToldOutcome.objects.bulk_create(
        ToldOutcome(assignment_id=each.pk, settled_at=each.settled_at) for each in found if each.settled_at is not None
    )
    if not has_more:
        ToldOutcome.objects.filter(assignment__campaign__tenant=tenant, settled_at__lt=since).delete()
    return has_more


def _asking(rows: QuerySet[Endpoint]) -> list[Endpoint]:
    return [endpoint for endpoint in rows if rules.is_wanted(rules.ASSIGNMENTS_SETTLED, endpoint.types)]


def _asked_since(tenant: Tenant) -> datetime | None:
    rows = Endpoint.objects.filter(tenant=tenant).exclude(state=EndpointState.REMOVED)
    return min((endpoint.created_at for endpoint in _asking(rows)), default=None)


def _untold(tenant: Tenant, since: datetime) -> list[Assignment]:
    told = ToldOutcome.objects.filter(assignment=OuterRef("pk"), settled_at=OuterRef("settled_at"))
    rows = Assignment.objects.filter(
        ~Exists(told), campaign__tenant=tenant, settled_at__gte=since, state__in=sorted(SETTLED_STATES)
    )
    wanted = rows.select_related("campaign", "vehicle").only(
        "state", "code", "settled_at", "campaign__name", "vehicle__vehicle_id"
    )
    return list(wanted.order_by("settled_at", "pk")[:CHUNK])


def _drafts(tenant: Tenant, settled: Iterable[Assignment], *, at: datetime) -> list[feeds.Draft]:
    by_campaign: dict[Campaign, list[Assignment]] = defaultdict(list)
    for each in settled:
        by_campaign[each.campaign].append(each)
    return [_draft(tenant, campaign, ends, at=at) for campaign, ends in by_campaign.items()]


def _draft(tenant: Tenant, campaign: Campaign, ends: Sequence[Assignment], *, at: datetime) -> feeds.Draft:
    about = Object("campaign", campaign.pk, campaign.name)
    details = {
        "counts": dict(Counter(each.state for each in ends)),
        "vehicles": [{"vehicle_id": each.vehicle.vehicle_id, "state": each.state, "code": each.code} for each in ends],
    }
    type = rules.TYPES[rules.ASSIGNMENTS_SETTLED]
    data = data_of(type, about, tenant=tenant.name, actor=rules.ENGINE, details=details)
    return feeds.Draft(type.name, about.subject, at, data)
