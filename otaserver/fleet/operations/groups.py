from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction

from otaserver.audit import operations as audit
from otaserver.fleet import filters, rules
from otaserver.fleet.errors import GroupDynamicError, GroupExistsError, GroupNameRefusedError, VehicleNotFoundError
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
    audit.record("group.created", group, tenant=tenant, by=by, at=at, kind=str(kind), filter=filter, vehicles=added)
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
        audit.record("group.vehicles_added", group, tenant=group.tenant, by=by, at=at, count=added)
    return added


@transaction.atomic
def remove_from_group(group: Group, vehicles: Iterable[Vehicle], *, by: str, at: datetime) -> int:
    """Take vehicles out of a static group and return how many were in it.

    Raises:
        GroupDynamicError: its filter says which vehicles are in it.
    """
    members = [vehicle.pk for vehicle in vehicles]
    removed = 0
    for start in range(0, len(members), _BATCH):
        batch = members[start : start + _BATCH]
        removed += Membership.objects.filter(group=_static(group), vehicle__in=batch).delete()[0]
    if removed:
        audit.record("group.vehicles_removed", group, tenant=group.tenant, by=by, at=at, count=removed)
    return removed


def _static(group: Group) -> Group:
    if group.kind != GroupKind.STATIC:
        raise GroupDynamicError(f"Group {group} is dynamic: its filter says which vehicles are in it.", name=group.name)
    return group


def _add(group: Group, vehicles: list[Vehicle]) -> int:
    foreign = next((vehicle for vehicle in vehicles if vehicle.tenant_id != group.tenant_id), None)
    if foreign is not None:
        raise VehicleNotFoundError(f"There is no vehicle {foreign.vehicle_id!r}.", vehicle_id=foreign.vehicle_id)
    before = group.memberships.count()
    Membership.objects.bulk_create(
        (Membership(group=group, vehicle=vehicle) for vehicle in vehicles),
        batch_size=_BATCH,
        ignore_conflicts=True,
    )
    return group.memberships.count() - before
