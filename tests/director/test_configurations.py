"""What a vehicle is written down to be and run is what its ECUs are and run, whatever happens to it."""

import pytest

from otaserver.director import operations
from otaserver.director.errors import ManifestReplayedError
from otaserver.fleet.models import Vehicle
from tests.director.refusals import LATER
from tests.director.signing_vehicle import image, make_signing_vehicle
from tests.factories import NOON, make_package, make_tenant
from tests.fleet.enrolments import enrol, make_ecu, make_key

pytestmark = pytest.mark.django_db


def is_right(vehicle):
    """Compare what is written down with the ECUs, read afresh."""
    fresh = Vehicle.objects.select_related("configuration").get(pk=vehicle.pk)
    ecus = fresh.ecus.values_list("hardware_id", "installed_target", "installed_sha256")
    return fresh.configuration.ecus == sorted(list(ecu) for ecu in ecus)


def test_enrolling_and_enrolling_again_with_other_ecus_keep_it_right():
    tenant, key = make_tenant(), make_key()
    vehicle = enrol(tenant, "VIN1", make_ecu("P", key=key), make_ecu("S", "brake")).vehicle
    first = Vehicle.objects.get().configuration
    assert is_right(vehicle)

    enrol(tenant, "VIN1", make_ecu("P", key=key), make_ecu("S", "radio"), at=LATER)

    assert is_right(vehicle)
    assert Vehicle.objects.get().configuration != first
    first.refresh_from_db()
    assert [hardware for hardware, _, _ in first.ecus] == ["brake", "gateway"]


def test_accepted_manifests_keep_it_right_and_refused_ones_change_nothing():
    tenant = make_tenant()
    old = [make_package(tenant, hw, hardware_ids=(hw,)) for hw in ("gateway", "brake")]
    new = make_package(tenant, "brake", "2.0", hardware_ids=("brake",))
    car = make_signing_vehicle(tenant, *old)
    seen = []
    for change in (None, image(new), image(old[1])):
        if change is not None:
            car.images[car.serials[1]] = change
        body = car.manifest()
        operations.receive_manifest(car.vehicle, body, at=NOON)
        assert is_right(car.vehicle)
        seen.append(Vehicle.objects.get().configuration_id)
    car.counter = 0
    with pytest.raises(ManifestReplayedError):
        operations.receive_manifest(car.vehicle, car.manifest(), at=LATER)

    assert is_right(car.vehicle)
    assert Vehicle.objects.get().configuration_id == seen[2] == seen[0] != seen[1]
