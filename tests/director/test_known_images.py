"""What the repository knows of an image is asked with the ECUs, and once more only where another one is reported."""

from datetime import timedelta

import pytest

from firmware_store.models import Package
from otaserver.director import operations
from otaserver.director.models import InstalledImage, Manifest
from otaserver.director.operations import manifests
from otaserver.fleet.models import Configuration, Ecu, Vehicle
from tests.director.signing_vehicle import image
from tests.factories import NOON, make_package

pytestmark = pytest.mark.django_db


def send(car, hour=0):
    return operations.receive_manifest(car.vehicle, car.manifest(), at=NOON + timedelta(hours=hour))


def unfit(car, gateway):
    car.images[car.serials[1]] = image(gateway)


def altered(car, gateway):
    car.images[car.serials[0]] = image(gateway, length=gateway.length + 1)


def unpublished(car, gateway):
    car.images[car.serials[0]]["filepath"] = "supplier/bootleg-6"


@pytest.mark.parametrize("odd", [unfit, altered, unpublished])
def test_an_odd_image_is_flagged_each_time_that_it_is_reported(car, gateway, odd):
    odd(car, gateway)

    first, second = send(car), send(car, 1)

    assert first.findings == second.findings
    assert first.findings[0].startswith(f"image_{odd.__name__}:")


def test_an_image_is_known_from_its_publication_on(car):
    unpublished(car, None)
    assert send(car).findings == (f"image_unpublished:{car.serials[0]}:supplier/bootleg-6",)
    told = car.images[car.serials[0]]
    package = make_package(car.vehicle.tenant, "bootleg", "6")
    Package.objects.filter(pk=package.pk).update(
        sha256=told["fileinfo"]["hashes"]["sha256"], length=told["fileinfo"]["length"]
    )

    assert send(car, 1).findings == ()

    ecu = Ecu.objects.get(serial=car.serials[0])
    assert (ecu.installed_name, ecu.installed_version, ecu.installed_at) == ("bootleg", "6", NOON)


def test_a_manifest_that_says_nothing_new_costs_three_reads(car, django_assert_num_queries):
    for hour in range(3):
        send(car, hour)
    body = car.manifest()

    # A savepoint around them; the vehicle's row, its ECUs, the last manifests; that one, two ECUs and the vehicle.
    with django_assert_num_queries(2 + 3 + 4):
        operations.receive_manifest(car.vehicle, body, at=NOON + timedelta(hours=3))

    assert Manifest.objects.count() == 2
    assert bytes(Manifest.objects.latest("received_at").body) == body


def test_what_an_image_is_shown_by_is_not_replaced_within_a_run(car):
    for hour in range(2):
        send(car, hour)
    last = Manifest.objects.latest("received_at")
    InstalledImage.objects.update(manifest=last)

    send(car, 2)

    assert list(Manifest.objects.order_by("received_at").values_list("received_at", flat=True)) == [
        NOON + timedelta(hours=hour) for hour in range(3)
    ]


def test_a_manifest_that_retention_has_taken_meanwhile_is_stored_all_the_same(car, monkeypatch):
    for hour in range(2):
        send(car, hour)
    last_accepted = manifests._last_accepted

    def taken(vehicle, **options):
        found = last_accepted(vehicle, **options)
        Manifest.objects.filter(pk=found[0].pk).delete()
        return found

    monkeypatch.setattr(manifests, "_last_accepted", taken)
    send(car, 2)

    assert Manifest.objects.filter(received_at=NOON + timedelta(hours=2)).count() == 1


def test_what_a_vehicle_runs_is_one_configuration_with_all_that_are_alike(car):
    send(car)
    car.images[car.serials[0]] = image(make_package(car.vehicle.tenant, "gateway", "2.0"))

    send(car, 1)

    (ecus,) = Configuration.objects.filter(vehicles=car.vehicle).values_list("ecus", flat=True)
    assert [target for _, target, _ in ecus] == ["supplier/brake-1.0", "supplier/gateway-2.0"]
    assert car.vehicle.configuration_id == Vehicle.objects.get().configuration_id
