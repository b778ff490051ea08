from datetime import datetime

from django.db import transaction

from otaserver.director.models import InstalledImage
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import refresh_configuration


@transaction.atomic
def assert_unknown(vehicle: Vehicle, ecu_serial: str, name: str, *, at: datetime) -> bool:
    """Write down that an ECU runs something of that name which is no package here, on the vehicle's word.

    Return whether that is new. Nothing is known of its bytes: it has no digest, and is no release.
    """
    # As a manifest does, so that the two cannot write at once.
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    rows = vehicle.ecus.filter(serial=ecu_serial).exclude(installed_target=name, installed_sha256="")
    is_new = bool(
        rows.update(
            installed_target=name,
            installed_sha256="",
            installed_length=None,
            installed_name="",
            installed_version="",
            installed_at=at,
            is_asserted=True,
        )
    )
    if is_new:
        InstalledImage.objects.create(
            vehicle=vehicle, ecu_serial=ecu_serial, target_name=name, sha256="", length=0, since=at
        )
        refresh_configuration(vehicle)
    Vehicle.objects.filter(pk=vehicle.pk).update(confirmed_at=at)
    vehicle.confirmed_at = at
    return is_new
