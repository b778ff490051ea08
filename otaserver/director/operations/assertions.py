"""What vehicles of protocols without manifests are said to run: written down like a proof, and marked as none."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from firmware_store.models import Package
from otaserver.director.models import InstalledImage
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.operations import configuration_of


@transaction.atomic(savepoint=False)
def assert_installed(
    vehicle: Vehicle, packages: Mapping[str, Package], *, ecus: Sequence[Ecu] | None = None, at: datetime
) -> bool:
    """Write down that these packages run, by ECU serial, on the vehicle's word; return whether that is new.

    Serials that the vehicle does not have are left out. Nothing is said of its other ECUs.

    `ecus`: all of the vehicle, where the caller has locked its row and read them since.
    """
    if ecus is None:
        # As a manifest does, so that the two cannot write at once.
        Vehicle.objects.select_for_update(no_key=True).values_list("pk").get(pk=vehicle.pk)
        ecus = list(vehicle.ecus.order_by("pk"))
    changed = [ecu for ecu in ecus if ecu.serial in packages and _write_down(ecu, packages[ecu.serial], at=at)]
    changes: dict[str, Any] = {"confirmed_at": at}
    if changed:
        InstalledImage.objects.bulk_create([_image(ecu, packages[ecu.serial], at=at) for ecu in changed])
        changes["configuration_id"] = configuration_of(vehicle.tenant_id, ecus)
    Vehicle.objects.filter(pk=vehicle.pk).update(**changes)
    for name, value in changes.items():
        setattr(vehicle, name, value)
    return bool(changed)


def _write_down(ecu: Ecu, package: Package, *, at: datetime) -> bool:
    if (ecu.installed_target, ecu.installed_sha256) == (package.target_name, package.sha256):
        return False
    values = {
        "installed_target": package.target_name,
        "installed_sha256": package.sha256,
        "installed_length": package.length,
        "installed_name": package.name,
        "installed_version": package.version,
        "installed_at": at,
        "is_asserted": True,
    }
    Ecu.objects.filter(pk=ecu.pk).update(**values)
    for name, value in values.items():
        setattr(ecu, name, value)
    return True


def _image(ecu: Ecu, package: Package, *, at: datetime) -> InstalledImage:
    return InstalledImage(
        vehicle_id=ecu.vehicle_id,
        ecu_serial=ecu.serial,
        target_name=package.target_name,
        sha256=package.sha256,
        length=package.length,
        since=at,
    )
