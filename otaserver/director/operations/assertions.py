"""What vehicles of protocols without manifests are said to run: written down like a proof, and marked as none."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from firmware_store.models import Package
from otaserver.director.models import InstalledImage
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.operations import refresh_configuration


@transaction.atomic
def assert_installed(vehicle: Vehicle, packages: Mapping[str, Package], *, at: datetime) -> bool:
    """Write down that these packages run, by ECU serial, on the vehicle's word; return whether that is new.

    Serials that the vehicle does not have are left out. Nothing is said of its other ECUs.
    """
    # As a manifest does, so that the two cannot write at once.
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    ecus = vehicle.ecus.filter(serial__in=packages).order_by("pk")
    changed = [ecu for ecu in ecus if _write_down(ecu, packages[ecu.serial], at=at)]
    if changed:
        refresh_configuration(vehicle)
    Vehicle.objects.filter(pk=vehicle.pk).update(confirmed_at=at)
    vehicle.confirmed_at = at
    return bool(changed)


def _write_down(ecu: Ecu, package: Package, *, at: datetime) -> bool:
    if (ecu.installed_target, ecu.installed_sha256) == (package.target_name, package.sha256):
        return False
    Ecu.objects.filter(pk=ecu.pk).update(
        installed_target=package.target_name,
        installed_sha256=package.sha256,
        installed_length=package.length,
        installed_name=package.name,
        installed_version=package.version,
        installed_at=at,
        is_asserted=True,
    )
    InstalledImage.objects.create(
        vehicle_id=ecu.vehicle_id,
        ecu_serial=ecu.serial,
        target_name=package.target_name,
        sha256=package.sha256,
        length=package.length,
        since=at,
    )
    return True
