"""Orders for tests, made from packages and vehicles as campaigns make them."""

from typing import Any
from uuid import uuid4

from firmware_store.models import Package
from otaserver.director.orders import Order, OrderedPackage
from otaserver.fleet.models import Ecu, Vehicle


def ordered(ecu: Ecu, package: Package, **changes: Any) -> OrderedPackage:
    values: dict[str, Any] = {
        "ecu_serial": ecu.serial,
        "hardware_id": ecu.hardware_id,
        "target_name": package.target_name,
        "name": package.name,
        "version": package.version,
        "length": package.length,
        "sha256": package.sha256,
        "sha512": package.sha512,
        "hardware_ids": package.hardware_ids,
        "release_counter": package.release_counter,
    }
    return OrderedPackage(**(values | changes))


def make_order(vehicle: Vehicle, *packages: Package, **fields: Any) -> Order:
    """An order of the packages for the vehicle's ECUs: the first for the Primary, and so on."""
    ecus = vehicle.ecus.order_by("-is_primary", "serial")
    values: dict[str, Any] = {
        "attempt_id": uuid4(),
        "number": 1,
        "campaign": "spring",
        "release": "autumn 1",
        "packages": [ordered(ecu, package) for ecu, package in zip(ecus, packages, strict=False)],
    }
    return Order(**(values | fields))
