"""Contacts that were counted elsewhere, written many at a time."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations.vehicles import CONTACT_RESOLUTION

_BATCH = 2000


def record_contacts(vehicles: Collection[int], *, at: datetime) -> set[int]:
    """Note that vehicles (by their rows' ids) have called, as `record_contact` does for one.

    Return those whose row somebody else holds at this moment, to be tried again: nobody is waited for.
    """
    numbers, held = sorted(vehicles), set[int]()
    for start in range(0, len(numbers), _BATCH):
        held |= _record_batch(numbers[start : start + _BATCH], at)
    return held


@transaction.atomic
def _record_batch(numbers: list[int], at: datetime) -> set[int]:
    is_due = Q(last_contact_at=None) | Q(last_contact_at__lte=at - CONTACT_RESOLUTION)
    due = Vehicle.objects.filter(is_due, pk__in=numbers)
    # In one order everywhere, so that two processes cannot wait for each other.
    free = list(due.order_by("pk").select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))
    Vehicle.objects.filter(pk__in=free).update(last_contact_at=at)
    rest = set(numbers) - set(free)
    return set(due.filter(pk__in=rest).values_list("pk", flat=True)) if rest else set()
