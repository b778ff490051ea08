from dataclasses import dataclass

from otaserver.fleet import filters
from otaserver.fleet.errors import VehicleNotFoundError
from otaserver.fleet.models import Group, Vehicle, VehicleQuerySet
from otaserver.fleet.states import GroupKind
from otaserver.tenants.models import Tenant

PREVIEW_SIZE = 20


@dataclass(frozen=True)
class FilterPreview:
    """How many vehicles match a filter, and the first few of them by vehicle id."""

    count: int
    sample: tuple[str, ...]


def vehicle_by_id(tenant: Tenant, vehicle_id: str) -> Vehicle:
    """Return the tenant's vehicle of that id, or raise VehicleNotFoundError."""
    vehicle = Vehicle.objects.of(tenant).select_related("tenant").filter(vehicle_id=vehicle_id[:100]).first()
    if vehicle is None:
        raise VehicleNotFoundError(f"There is no vehicle {vehicle_id[:100]!r}.", vehicle_id=vehicle_id[:100])
    return vehicle


def vehicles_matching(tenant: Tenant, filter: str) -> VehicleQuerySet:
    """Return the tenant's vehicles that match the filter at the moment the queryset runs.

    Raises:
        FilterRefusedError: a subclass says why, and where.
    """
    return Vehicle.objects.of(tenant).filter(filters.compile_filter(tenant, filter))


def vehicles_in(group: Group) -> VehicleQuerySet:
    """Return the vehicles of a group: those put into it, or those that match its filter now."""
    if group.kind == GroupKind.DYNAMIC:
        return vehicles_matching(group.tenant, group.filter)
    return Vehicle.objects.of(group.tenant).filter(memberships__group=group)


def preview(tenant: Tenant, filter: str) -> FilterPreview:
    """Return how many vehicles match the filter now, and a sample.

    Raises:
        FilterRefusedError: a subclass says why, and where.
    """
    matching = vehicles_matching(tenant, filter)
    sample = matching.order_by("vehicle_id").values_list("vehicle_id", flat=True)[:PREVIEW_SIZE]
    return FilterPreview(matching.count(), tuple(sample))
