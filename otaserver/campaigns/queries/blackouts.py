"""Blackouts: which are to be kept, and which vehicles they are for."""

from collections.abc import Collection
from datetime import UTC, datetime

from django.db.models import Q, QuerySet

from otaserver.campaigns.models import Blackout
from otaserver.campaigns.rules.windows import Interval
from otaserver.fleet import queries as fleet
from otaserver.fleet.errors import FilterRefusedError
from otaserver.fleet.models import Group
from otaserver.tenants.models import Tenant

_NEVER = datetime.max.replace(tzinfo=UTC)


def standing(tenant: Tenant, *, at: datetime) -> QuerySet[Blackout]:
    """Return the tenant's blackouts that are in force or to come, the one that began first before the others."""
    rows = Blackout.objects.filter(Q(ends_at=None) | Q(ends_at__gt=at), tenant=tenant, lifted_at=None)
    return rows.select_related("group__tenant").order_by("starts_at", "pk")


def in_force(tenant: Tenant, *, at: datetime) -> QuerySet[Blackout]:
    """Return the tenant's blackouts that are in force."""
    return standing(tenant, at=at).filter(starts_at__lte=at)


def interval(blackout: Blackout) -> Interval:
    """Return the time of a blackout; one without an end reaches to the end of time."""
    return Interval(blackout.starts_at, blackout.ends_at or _NEVER)


def members(blackout: Blackout) -> Q:
    """Return the condition on something with a `vehicle` that the blackout is for it.

    A group whose filter cannot be read any more is the whole fleet: a limit that cannot be judged holds.
    """
    group: Group | None = blackout.group
    if group is None:
        return Q()
    try:
        return Q(vehicle__in=fleet.vehicles_in(group).values("pk"))
    except FilterRefusedError:
        return Q()


def by_vehicle(blackouts: Collection[Blackout], vehicles: Collection[int]) -> dict[int, list[Blackout]]:
    """Return which of these blackouts are for each of these vehicles (rows' ids), in one query for each group."""
    found: dict[int, list[Blackout]] = {vehicle: [] for vehicle in vehicles}
    for blackout in blackouts:
        for vehicle in _of_group(blackout.group, vehicles):
            found[vehicle].append(blackout)
    return found


def _of_group(group: Group | None, vehicles: Collection[int]) -> Collection[int]:
    if group is None:
        return vehicles
    try:
        return list(fleet.vehicles_in(group).filter(pk__in=vehicles).values_list("pk", flat=True))
    except FilterRefusedError:
        return vehicles
