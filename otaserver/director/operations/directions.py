"""Directing vehicles: orders go in, and the signer states them at each vehicle's next contact."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from firmware_store.models import Package
from firmware_store.states import PackageState
from firmware_store.trust import primitives
from firmware_store.trust.errors import NotStrictJsonError
from otaserver.director import documents, rules
from otaserver.director.errors import OrderRefusedError, OrderTextRefusedError, OrderVehicleUnknownError
from otaserver.director.models import Direction
from otaserver.director.orders import Order
from otaserver.fleet.models import Ecu, Vehicle

BATCH_SIZE = 500


def direct(orders: Mapping[int, Order | None], *, at: datetime) -> None:
    """Direct each vehicle (by its row's id) to its order, or to nothing.

    All or none. What a vehicle is directed to already stays as it is, so repeating changes nothing.

    Raises:
        OrderRefusedError: one of the orders must not be signed; `details["vehicle"]` says whose.
    """
    # Every tick comes by here, most with nobody to direct.
    if not orders:
        return
    vehicles = sorted(orders)
    # Only an order can be refused: where none is given, nothing has to be undone alone.
    with transaction.atomic(savepoint=any(orders.values())):
        for start in range(0, len(vehicles), BATCH_SIZE):
            _direct_batch({vehicle: orders[vehicle] for vehicle in vehicles[start : start + BATCH_SIZE]}, at)


def _direct_batch(orders: Mapping[int, Order | None], at: datetime) -> None:
    given = {vehicle: order for vehicle, order in orders.items() if order is not None}
    _check_orders(given)
    _clear([vehicle for vehicle, order in orders.items() if order is None], at)
    if given:
        _set(given, at)


def _clear(vehicles: Collection[int], at: datetime) -> None:
    """Direct vehicles to nothing, in one UPDATE: an emergency stop of a large campaign is as many rows."""
    directed = Direction.objects.filter(vehicle__in=vehicles, content__isnull=False)
    if len(vehicles) > 1:
        # In one order everywhere, so that two bulk calls cannot wait for each other.
        locked = list(directed.select_for_update().order_by("vehicle_id").values_list("pk", flat=True))
        directed = Direction.objects.filter(pk__in=locked)
    directed.update(
        previous_content=F("content"), content=None, attempt_id=None, revision=F("revision") + 1, changed_at=at
    )


def _set(orders: Mapping[int, Order], at: datetime) -> None:
    known = _locked(orders)
    missing = [vehicle for vehicle in orders if vehicle not in known]
    if missing:
        # Empty first and filled below: of two first orders at once, the second then is a change like any other.
        rows = [Direction(vehicle_id=vehicle, changed_at=at) for vehicle in missing]
        Direction.objects.bulk_create(rows, ignore_conflicts=True)
        known |= _locked(missing)
    changed = []
    for vehicle, row in known.items():
        content = _content(vehicle, orders[vehicle])
        if row.content != content:
            changed.append(_changed(row, orders[vehicle].attempt_id, content, at))
    # The rows exist and are locked: as one upsert this costs a third of `bulk_update` and its CASE for every column.
    fields = ["attempt_id", "content", "previous_content", "revision", "changed_at"]
    Direction.objects.bulk_create(changed, update_conflicts=True, unique_fields=["vehicle"], update_fields=fields)


def _content(vehicle: int, order: Order) -> dict[str, Any] | None:
    content = documents.order_content(order)
    try:
        primitives.canonical(content)
    except NotStrictJsonError as error:
        raise OrderTextRefusedError(f"The order cannot be signed: {error}", vehicle=vehicle) from error
    return content


def _locked(vehicles: Collection[int]) -> dict[int, Direction]:
    # In one order everywhere, so that two bulk calls cannot wait for each other.
    rows = Direction.objects.select_for_update().filter(vehicle__in=vehicles).order_by("vehicle_id")
    return {row.vehicle_id: row for row in rows}


def _changed(row: Direction, attempt_id: UUID, content: dict[str, Any] | None, at: datetime) -> Direction:
    row.previous_content = row.content or row.previous_content
    row.attempt_id, row.content, row.changed_at = attempt_id, content, at
    # Read under a lock: the row's on PostgreSQL, the database's on SQLite, where transactions begin IMMEDIATE.
    row.revision += 1
    return row


def _check_orders(orders: Mapping[int, Order]) -> None:
    if not orders:
        return
    tenants = dict(Vehicle.objects.filter(pk__in=orders).values_list("pk", "tenant_id"))
    ecus: dict[int, dict[str, str]] = defaultdict(dict)
    for vehicle, serial, hardware_id in Ecu.objects.filter(vehicle__in=orders).values_list(
        "vehicle_id", "serial", "hardware_id"
    ):
        ecus[vehicle][serial] = hardware_id
    names = {package.target_name for order in orders.values() for package in order.packages}
    packages = _packages(set(tenants.values()), names)
    for vehicle, order in orders.items():
        try:
            if vehicle not in tenants:
                raise OrderVehicleUnknownError(f"There is no vehicle {vehicle}.")
            rules.check_order(order, ecus=ecus[vehicle], packages=packages[tenants[vehicle]])
        except OrderRefusedError as refusal:
            refusal.details["vehicle"] = vehicle
            raise


def _packages(tenants: Iterable[int], names: Iterable[str]) -> dict[int, dict[str, rules.PublishedPackage]]:
    found: dict[int, dict[str, rules.PublishedPackage]] = defaultdict(dict)
    # A refused package may share its name with the one that was published later; it is no package.
    rows = Package.objects.filter(tenant__in=tenants, target_name__in=names).exclude(state=PackageState.REFUSED)
    for row in rows:
        found[row.tenant_id][row.target_name] = rules.PublishedPackage(
            name=row.name,
            version=row.version,
            length=row.length,
            sha256=row.sha256,
            sha512=row.sha512,
            hardware_ids=sorted(row.hardware_ids),
            release_counter=row.release_counter,
            is_published=row.state == PackageState.PUBLISHED,
        )
    return found
