"""Sending manifests that must be refused."""

import hashlib
from datetime import timedelta

import pytest

from otaserver.director import operations
from otaserver.director.models import Manifest
from otaserver.fleet.models import Ecu, Vehicle
from tests.factories import NOON

LATER = NOON + timedelta(hours=1)


def proved(vehicle):
    """All that a manifest can change of a vehicle, to compare before and after."""
    ecus = Ecu.objects.filter(vehicle=vehicle).order_by("pk").values("serial", "report_counter", "installed_sha256")
    stored = Vehicle.objects.get(pk=vehicle.pk)
    accepted = Manifest.objects.filter(vehicle=vehicle, is_accepted=True).count()
    return list(ecus), stored.confirmed_at, stored.is_manifest_wanted, accepted


def refuse(car, body, error):
    """Send what must be refused with `error`, and check that it is stored as refused and changed nothing."""
    before = proved(car.vehicle)

    with pytest.raises(error) as refusal:
        operations.receive_manifest(car.vehicle, body, at=LATER)

    assert proved(car.vehicle) == before
    stored = Manifest.objects.filter(vehicle=car.vehicle, is_accepted=False).latest("pk")
    assert (stored.refused_code, stored.sha256) == (refusal.value.code, hashlib.sha256(body).hexdigest())
    return refusal.value
