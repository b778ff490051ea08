from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, transaction

from otaserver.audit import operations as audit
from otaserver.fleet import rules
from otaserver.fleet.errors import (
    AttributeExistsError,
    AttributeNameRefusedError,
    AttributeUnknownError,
    VehicleNotFoundError,
)
from otaserver.fleet.models import Attribute, AttributeValue, Vehicle
from otaserver.tenants.models import Tenant

# Names of the value columns are the names of the types.
_COLUMNS = ("text", "number", "boolean", "time")
_BATCH = 1000


@transaction.atomic
def declare_attribute(
    tenant: Tenant, *, name: str, type: str, by: str, at: datetime, description: str = ""
) -> Attribute:
    """Declare that a tenant keeps this fact of its vehicles. Its type is for ever.

    Raises:
        AttributeNameRefusedError: the filter language could not name it.
        AttributeTypeRefusedError: there is no such type.
        AttributeExistsError: it is declared already.
    """
    problem = rules.attribute_name_problem(name)
    if problem:
        raise AttributeNameRefusedError(problem, name=name)
    kind = rules.attribute_type(type)
    try:
        with transaction.atomic():
            attribute = Attribute.objects.create(tenant=tenant, name=name, type=kind, description=description[:200])
    except IntegrityError as error:
        raise AttributeExistsError(f"Tenant {tenant} has an attribute {name} already.", name=name) from error
    audit.record("attribute.declared", attribute, tenant=tenant, by=by, at=at, type=str(kind))
    return attribute


def set_attributes(vehicle: Vehicle, values: Mapping[str, object], *, at: datetime) -> int:
    """Set attributes of one vehicle by name; None takes a value away. Return how many changed: all are set or none.

    Raises:
        AttributeUnknownError: the tenant has not declared one of them.
        AttributeValueRefusedError: a value is not of its attribute's type.
    """
    return _set(vehicle.tenant, {vehicle.pk: values}, at=at)


def set_fleet_attributes(tenant: Tenant, values: Mapping[str, Mapping[str, object]], *, at: datetime) -> int:
    """Set attributes of many vehicles, by vehicle id and name, as `set_attributes` does: all are set or none.

    Raises:
        VehicleNotFoundError: the tenant has no vehicle with one of these ids.
        AttributeUnknownError, AttributeValueRefusedError: as in `set_attributes`.
    """
    known = dict(Vehicle.objects.of(tenant).values_list("vehicle_id", "pk"))
    missing = next((vehicle_id for vehicle_id in values if vehicle_id not in known), None)
    if missing is not None:
        raise VehicleNotFoundError(f"There is no vehicle {missing!r}.", vehicle_id=missing)
    return _set(tenant, {known[vehicle_id]: of_one for vehicle_id, of_one in values.items()}, at=at)


def set_attributes_by_key(tenant: Tenant, values: Mapping[int, Mapping[str, object]], *, at: datetime) -> int:
    """Set attributes of many vehicles of one tenant, by primary key and name, as `set_attributes` does: for imports.

    Raises:
        AttributeUnknownError, AttributeValueRefusedError: as in `set_attributes`.
    """
    return _set(tenant, values, at=at)


@transaction.atomic
def _set(tenant: Tenant, values: Mapping[int, Mapping[str, object]], *, at: datetime) -> int:
    wanted = _typed(tenant, values)
    changed = 0
    # In one order for all: two bulk writers then wait for each other instead of deadlocking.
    vehicles = sorted(wanted)
    for start in range(0, len(vehicles), _BATCH):
        changed += _write({pk: wanted[pk] for pk in vehicles[start : start + _BATCH]}, at=at)
    return changed


def _typed(
    tenant: Tenant, values: Mapping[int, Mapping[str, object]]
) -> dict[int, dict[Attribute, rules.Value | None]]:
    declared = {attribute.name: attribute for attribute in Attribute.objects.filter(tenant=tenant)}
    unknown = sorted({name for of_one in values.values() for name in of_one if name not in declared})
    if unknown:
        raise AttributeUnknownError(f"Tenant {tenant} has not declared {', '.join(unknown)}.", names=unknown)
    return {
        pk: {
            declared[name]: None if value is None else rules.attribute_value(name, declared[name].type, value)
            for name, value in of_one.items()
        }
        for pk, of_one in values.items()
    }


def _write(wanted: Mapping[int, Mapping[Attribute, rules.Value | None]], *, at: datetime) -> int:
    attributes = {attribute for of_one in wanted.values() for attribute in of_one}
    present = {
        (row.vehicle_id, row.attribute_id): row
        for row in AttributeValue.objects.filter(vehicle__in=wanted, attribute__in=attributes)
    }
    written, gone = [], []
    for pk, of_one in wanted.items():
        for attribute, value in sorted(of_one.items(), key=lambda item: item[0].pk):
            row = present.get((pk, attribute.pk))
            if value is None:
                gone += [row.pk] if row is not None else []
            elif row is None or getattr(row, attribute.type) != value:
                columns = dict.fromkeys(_COLUMNS) | {attribute.type: value}
                written.append(AttributeValue(vehicle_id=pk, attribute=attribute, changed_at=at, **columns))
    AttributeValue.objects.bulk_create(
        written,
        batch_size=_BATCH,
        # An upsert: of two writers at once the later wins, and neither fails.
        update_conflicts=True,
        unique_fields=["vehicle", "attribute"],
        update_fields=[*_COLUMNS, "changed_at"],
    )
    AttributeValue.objects.filter(pk__in=gone).delete()
    return len(written) + len(gone)
