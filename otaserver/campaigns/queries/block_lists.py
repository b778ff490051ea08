"""Block lists: groups whose vehicles no campaign updates (press, police, litigation)."""

from collections.abc import Collection, Sequence

from django.db.models import Q

from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Group, Vehicle
from otaserver.tenants.models import Tenant


def block_lists(tenant: Tenant) -> list[Group]:
    """Return a tenant's block lists, the oldest first."""
    rows = Group.objects.filter(tenant=tenant).exclude(blocks_updates_reason="")
    return list(rows.select_related("tenant").order_by("pk"))


def label(group: Group) -> str:
    """Return a block list's name and reason, as verdicts and explanations tell them."""
    return f"{group.name!r} ({group.blocks_updates_reason.rstrip('.')})"


def in_group(group: Group) -> Q:
    """Return the condition that a vehicle is in the group now."""
    return Q(pk__in=fleet.vehicles_in(group).order_by().values("pk"))


def listed(lists: Sequence[Group], vehicles: Collection[int]) -> dict[int, str]:
    """Return which of these vehicles (by their rows' ids) are on which of the lists now: the first of each, labelled.

    One query a list, and none where there is no list.
    """
    found: dict[int, str] = {}
    for group in lists:
        for pk in Vehicle.objects.filter(in_group(group), pk__in=vehicles).values_list("pk", flat=True):
            found.setdefault(pk, label(group))
    return found
