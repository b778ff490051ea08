"""Counting the vehicles of groups for a list of them: no page waits for that, and none counts one by one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet

from otaserver.fleet import queries
from otaserver.fleet.counting_models import GroupSize
from otaserver.fleet.errors import FilterRefusedError
from otaserver.fleet.models import Group

FRESH_FOR = timedelta(minutes=5)
# How long after somebody last asked it is worth a count.
WANTED_FOR = timedelta(minutes=5)
# Longer than it takes for the largest fleet: then whoever began it is taken to be dead.
LEASE = timedelta(minutes=5)


@dataclass(frozen=True)
class Size:
    """How many vehicles a group had, and when. None: its filter cannot be answered any more."""

    vehicles: int | None
    counted_at: datetime


def ask_sizes(groups: Collection[Group], *, at: datetime) -> Mapping[int, Size]:
    """Return how many vehicles these groups have as far as that is known, by their ids; the rest is being counted.

    At most three statements, however many groups there are.
    """
    known = {row.group_id: row for row in GroupSize.objects.filter(group__in=groups)}
    missing = [GroupSize(group=group, asked_at=at) for group in groups if group.pk not in known]
    GroupSize.objects.bulk_create(missing, ignore_conflicts=True)
    found = {
        group.pk: Size(row.vehicles, row.counted_at)
        for group in groups
        if (row := known.get(group.pk)) is not None and row.counted_at is not None and row.filter == group.filter
    }
    fresh = {pk for pk, size in found.items() if size.counted_at > at - FRESH_FOR}
    old = known.keys() - fresh
    if old:
        GroupSize.objects.filter(group__in=old).update(asked_at=at)
    return found


def sizes_due(at: datetime) -> QuerySet[GroupSize]:
    """Return the groups that somebody wants counted now; none that is fresh, or that somebody counts already."""
    is_old = Q(counted_at=None) | Q(counted_at__lte=at - FRESH_FOR) | ~Q(filter=F("group__filter"))
    return GroupSize.objects.filter(is_old, _is_free(at), asked_at__gt=at - WANTED_FOR).order_by("asked_at")


def count_group(group_id: int, *, at: datetime) -> bool:
    """Count a group that was asked for, and keep that; return whether it was. Repeating is harmless."""
    row = sizes_due(at).filter(pk=group_id).select_related("group__tenant").first()
    if row is None or not GroupSize.objects.filter(_is_free(at), pk=group_id).update(begun_at=at):
        return False
    try:
        vehicles = queries.vehicles_in(row.group).order_by().count()
    except FilterRefusedError:
        vehicles = None
    counted = {"filter": row.group.filter, "vehicles": vehicles, "counted_at": at, "begun_at": None}
    return bool(GroupSize.objects.filter(pk=group_id, begun_at=at).update(**counted))


def _is_free(at: datetime) -> Q:
    return Q(begun_at=None) | Q(begun_at__lte=at - LEASE)
