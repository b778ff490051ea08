from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction

from otaserver.audit import operations as audit
from otaserver.fleet import filters, rules
from otaserver.fleet.errors import (
    GroupDynamicError,
    GroupExistsError,
    GroupNameRefusedError,
    GroupNotBlockListError,
    ReasonMissingError,
    VehicleNotFoundError,
)
from otaserver.fleet.models import Group, Membership, Vehicle
from otaserver.fleet.states import GroupKind
from otaserver.tenants.models import Tenant

_BATCH = 2000


@transaction.atomic
def create_group(
    tenant: Tenant, *, name: str, by: str, at: datetime, filter: str = "", vehicles: Iterable[Vehicle] = ()
) -> Group:
    """Create a group: dynamic with a filter, static with vehicles (or, for now, without).

    Raises:
        GroupNameRefusedError, GroupExistsError: about its name.
        FilterRefusedError: the filter cannot be answered; its subclasses say why.
        GroupDynamicError: both a filter and vehicles.
        VehicleNotFoundError: a vehicle of another tenant.
    """
    chosen = list(vehicles)
    problem = rules.group_name_problem(name)
    if problem:
        raise GroupNameRefusedError(problem, name=name)
    if filter and chosen:
        raise GroupDynamicError("A group has a filter or vehicles chosen by hand, not both.", name=name)
    if filter:
        filters.compile_filter(tenant, filter)
    kind = GroupKind.DYNAMIC if filter else GroupKind.STATIC
    try:
        with transaction.atomic():
            group = Group.objects.create(tenant=tenant, name=name, kind=kind, filter=filter, created_at=at)
    except IntegrityError as error:
        raise GroupExistsError(f"Tenant {tenant} has a group {name!r} already.", name=name) from error
    added = _add(group, chosen)
    details = {"kind": str(kind), "filter": filter, "vehicles": len(added), "vehicle_ids": added}
    audit.record("group.created", group, tenant=tenant, by=by, at=at, **details)
    return group


@transaction.atomic
def add_to_group(group: Group, vehicles: Iterable[Vehicle], *, by: str, at: datetime) -> int:
    """Put vehicles into a static group and return how many were not in it before.

    Raises:
        GroupDynamicError: its filter says which vehicles are in it.
        VehicleNotFoundError: a vehicle of another tenant.
    """
    added = _add(_static(group), list(vehicles))
    if added:
        details = {"count": len(added), "vehicle_ids": added}
        audit.record("group.vehicles_added", group, tenant=group.tenant, by=by, at=at, **details)
    return len(added)


@transaction.atomic
def remove_from_group(group: Group, vehicles: Iterable[Vehicle], *, by: str, at: datetime) -> int:
    """Take vehicles out of a static group and return how many were in it.

    Raises:
        GroupDynamicError: its filter says which vehicles are in it.
    """
    chosen = list(vehicles)
    held = _held(_static(group), chosen)
    for start in range(0, len(chosen), _BATCH):
        batch = [vehicle.pk for vehicle in chosen[start : start + _BATCH]]
        Membership.objects.filter(group=group, vehicle__in=batch).delete()
    removed = sorted({vehicle.vehicle_id for vehicle in chosen if vehicle.pk in held})
    if removed:
        details = {"count": len(removed), "vehicle_ids": removed}
        audit.record("group.vehicles_removed", group, tenant=group.tenant, by=by, at=at, **details)
    return len(removed)


@transaction.atomic
def make_block_list(group: Group, *, reason: str, by: str, at: datetime) -> None:
    """Let no campaign update the vehicles of a group; the next tick withdraws orders that are not being installed.

    Repeating it with another reason changes the reason.

    Raises:
        ReasonMissingError: no reason given.
    """
    _require(reason)
    group.blocks_updates_reason = reason.strip()
    group.save(update_fields=["blocks_updates_reason"])
    audit.record("group.block_list_made", group, tenant=group.tenant, by=by, at=at, reason=reason)


@transaction.atomic
def lift_block_list(group: Group, *, reason: str, by: str, at: datetime) -> None:
    """Let campaigns update the vehicles of a group again; it stays a group.

    Raises:
        ReasonMissingError: no reason given.
        GroupNotBlockListError: it is none.
    """
    _require(reason)
    if not Group.objects.filter(pk=group.pk).exclude(blocks_updates_reason="").update(blocks_updates_reason=""):
        raise GroupNotBlockListError(f"Group {group} is no block list.", name=group.name)
    group.blocks_updates_reason = ""
    audit.record("group.block_list_lifted", group, tenant=group.tenant, by=by, at=at, reason=reason)


def _require(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissingError("A block list needs a reason, and so does its end.")


def _static(group: Group) -> Group:
    if group.kind != GroupKind.STATIC:
        raise GroupDynamicError(f"Group {group} is dynamic: its filter says which vehicles are in it.", name=group.name)
    return group


def _held(group: Group, vehicles: list[Vehicle]) -> set[int]:
    """Return the keys of those vehicles that are in the group."""
    found: set[int] = set()
    for start in range(0, len(vehicles), _BATCH):
        batch = [vehicle.pk for vehicle in vehicles[start : start + _BATCH]]
        found.update(Membership.objects.filter(group=group, vehicle__in=batch).values_list("vehicle_id", flat=True))
    return found


def _add(group: Group, vehicles: list[Vehicle]) -> list[str]:
    """Put vehicles into a group, and return the ids of those that were not in it."""
    foreign = next((vehicle for vehicle in vehicles if vehicle.tenant_id != group.tenant_id), None)
    if foreign is not None:
        raise VehicleNotFoundError(f"There is no vehicle {foreign.vehicle_id!r}.", vehicle_id=foreign.vehicle_id)
    held = _held(group, vehicles)
    Membership.objects.bulk_create(
        (Membership(group=group, vehicle=vehicle) for vehicle in vehicles),
        batch_size=_BATCH,
        ignore_conflicts=True,
    )
    return sorted({vehicle.vehicle_id for vehicle in vehicles if vehicle.pk not in held})
