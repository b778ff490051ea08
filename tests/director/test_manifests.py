from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from otaserver.director import errors, operations
from otaserver.director.manifests import ManifestReport
from otaserver.director.models import InstalledImage, Manifest
from otaserver.director.operations import manifests
from otaserver.fleet.models import Ecu, Vehicle
from tests.director.refusals import LATER, proved, refuse
from tests.director.signing_vehicle import EcuKey, image, make_signing_vehicle
from tests.factories import NOON, make_package, make_tenant

pytestmark = pytest.mark.django_db


def test_an_accepted_manifest_is_stored_and_proves_what_runs(car, gateway):
    Vehicle.objects.filter(pk=car.vehicle.pk).update(is_manifest_wanted=True)
    body = car.manifest()

    received = operations.receive_manifest(car.vehicle, body, at=NOON)

    assert (received.is_new, received.findings, received.report) == (True, (), None)
    ecu = Ecu.objects.get(serial=car.serials[0])
    assert (ecu.installed_target, ecu.installed_sha256) == ("supplier/gateway-1.0", gateway.sha256)
    assert (ecu.installed_length, ecu.installed_at, ecu.report_counter) == (gateway.length, NOON, 1)
    vehicle = Vehicle.objects.get()
    assert (vehicle.confirmed_at, vehicle.is_manifest_wanted) == (NOON, False)
    stored = Manifest.objects.get()
    assert (bytes(stored.body), stored.is_accepted, stored.findings) == (body, True, [])
    images = InstalledImage.objects.order_by("ecu_serial").values_list("ecu_serial", "target_name", "since")
    assert list(images) == [
        (car.serials[0], "supplier/gateway-1.0", NOON),
        (car.serials[1], "supplier/brake-1.0", NOON),
    ]


def test_an_unchanged_image_keeps_the_time_since_when_it_runs(car):
    operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)

    operations.receive_manifest(car.vehicle, car.manifest(), at=LATER)

    assert set(Ecu.objects.values_list("report_counter", "installed_at")) == {(2, NOON)}
    assert InstalledImage.objects.count() == 2
    assert Vehicle.objects.get().confirmed_at == LATER


def test_the_signed_report_of_an_attempt_is_handed_on(car):
    attempt = uuid4()
    report = {"attempt": str(attempt), "outcome": "failure", "code": "health_failed", "message": "No heartbeat."}

    received = operations.receive_manifest(car.vehicle, car.manifest(report=report), at=NOON)

    assert received.report == ManifestReport(attempt, "failure", "health_failed", "No heartbeat.")


# A23: replays.
def test_a23_the_last_manifest_sent_again_gets_the_same_answer_and_changes_nothing(car):
    report = {"attempt": str(UUID(int=1)), "outcome": "success", "code": "", "message": ""}
    body = car.manifest({serial: car.reports()[serial] for serial in car.serials[:1]}, report=report)
    first = operations.receive_manifest(car.vehicle, body, at=NOON)
    before = proved(car.vehicle)

    second = operations.receive_manifest(car.vehicle, body, at=LATER)

    assert (second.is_new, second.findings, second.report) == (False, first.findings, first.report)
    assert proved(car.vehicle) == before
    assert Manifest.objects.count() == 1


def test_a23_an_older_manifest_sent_again_is_a_replay(car):
    body = car.manifest()
    operations.receive_manifest(car.vehicle, body, at=NOON)
    operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)

    refusal = refuse(car, body, errors.ManifestReplayedError)

    assert (refusal.code, refusal.status) == ("manifest.replayed", 409)
    assert refusal.details == {"ecu_serial": car.serials[0], "report_counter": 2}


def test_a23_the_same_counter_in_another_body_is_a_replay(car):
    operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)
    car.counter = 0

    refuse(car, car.manifest(car.reports(attacks_detected="slow retrieval")), errors.ManifestReplayedError)


def test_a23_an_old_report_of_one_ecu_in_a_new_manifest_is_a_replay(car):
    old = car.reports()
    operations.receive_manifest(car.vehicle, car.manifest(old), at=NOON)

    refuse(car, car.manifest(car.reports() | {car.serials[1]: old[car.serials[1]]}), errors.ManifestReplayedError)


def test_a23_a_report_under_another_ecus_serial_is_refused(car):
    reports = car.reports()

    refuse(
        car,
        car.manifest({car.serials[0]: reports[car.serials[0]], car.serials[1]: reports[car.serials[0]]}),
        errors.ManifestMalformedError,
    )


def test_a23_a_report_moved_to_another_vehicle_is_refused(car, gateway, brake):
    other = make_signing_vehicle(gateway.tenant, gateway, brake)

    refusal = refuse(car, car.manifest(car.reports() | other.reports()), errors.ManifestForeignEcuError)

    assert refusal.code == "manifest.foreign_ecu"


def test_a23_a_report_signed_by_another_ecu_is_refused(car):
    reports = car.reports()
    reports[car.serials[1]] = car.report(car.serials[1], key=car.keys[car.serials[0]])

    refusal = refuse(car, car.manifest(reports), errors.ManifestSignatureInvalidError)

    assert refusal.details == {"ecu_serial": car.serials[1]}


def test_a23_a_manifest_signed_by_a_secondary_is_refused(car):
    refuse(car, car.manifest(key=car.keys[car.serials[1]]), errors.ManifestSignatureInvalidError)


def test_a23_of_two_equal_manifests_at_once_one_is_new_and_both_are_accepted(at_once, car):
    body = car.manifest()

    results = at_once(*[lambda: operations.receive_manifest(car.vehicle, body, at=NOON)] * 2)

    assert sorted(result.is_new for result in results) == [False, True]
    assert Manifest.objects.count() == 1


def test_a23_of_two_manifests_with_one_counter_at_once_one_is_refused(at_once, car):
    reports = car.reports()
    bodies = [car.manifest(reports, note=note) for note in ("a", "b")]

    results = at_once(*[lambda body=body: operations.receive_manifest(car.vehicle, body, at=NOON) for body in bodies])

    assert sorted(type(result).__name__ for result in results) == ["ManifestReplayedError", "ReceivedManifest"]
    assert sorted(Manifest.objects.values_list("is_accepted", flat=True)) == [False, True]


# A24: manifests that are genuine and say something odd.
def test_a24_a_missing_ecu_is_flagged(car):
    received = operations.receive_manifest(
        car.vehicle, car.manifest({car.serials[0]: car.reports()[car.serials[0]]}), at=NOON
    )

    assert received.findings == (f"missing_ecu:{car.serials[1]}",)
    assert Manifest.objects.get().findings == list(received.findings)
    assert Ecu.objects.get(serial=car.serials[1]).report_counter == 0


def test_a24_an_ecu_that_nobody_knows_is_flagged(car):
    car.images["STRANGER"] = car.images[car.serials[1]]
    reports = car.reports() | {"STRANGER": car.report("STRANGER", key=EcuKey())}

    received = operations.receive_manifest(car.vehicle, car.manifest(reports), at=NOON)

    assert received.findings == ("unknown_ecu:STRANGER",)
    assert Ecu.objects.count() == 2


def test_a24_a_swapped_key_is_refused_and_stored(car):
    reports = car.reports()
    reports[car.serials[1]] = car.report(car.serials[1], key=EcuKey())

    refuse(car, car.manifest(reports), errors.ManifestSignatureInvalidError)


def test_a24_a_detected_attack_is_flagged(car):
    reports = car.reports()
    reports[car.serials[1]] = car.report(car.serials[1], attacks_detected="rollback of targets")

    received = operations.receive_manifest(car.vehicle, car.manifest(reports), at=NOON)

    assert received.findings == (f"attack_detected:{car.serials[1]}:rollback of targets",)


def test_a24_an_image_that_was_never_published_is_flagged(car):
    car.images[car.serials[0]]["filepath"] = "supplier/bootleg-6"

    received = operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)

    assert received.findings == (f"image_unpublished:{car.serials[0]}:supplier/bootleg-6",)


def test_a24_a_published_name_with_other_content_is_flagged(car, gateway):
    car.images[car.serials[0]] = image(gateway, length=gateway.length + 1)

    received = operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)

    assert received.findings == (f"image_altered:{car.serials[0]}:supplier/gateway-1.0",)


def test_a24_an_image_for_other_hardware_is_flagged(car, gateway):
    car.images[car.serials[1]] = image(gateway)

    received = operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)

    assert received.findings == (f"image_unfit:{car.serials[1]}:supplier/gateway-1.0",)


def test_a24_a_published_image_that_was_never_assigned_to_the_ecu_is_flagged(car):
    operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)
    car.images[car.serials[0]] = image(make_package(car.vehicle.tenant, "gateway", "2.0"))

    received = operations.receive_manifest(car.vehicle, car.manifest(), at=LATER)

    assert received.findings == (f"image_unassigned:{car.serials[0]}:supplier/gateway-2.0",)


def test_another_tenants_package_is_no_published_image(car):
    make_package(make_tenant(), "foreign", "1.0")
    car.images[car.serials[0]]["filepath"] = "supplier/foreign-1.0"

    received = operations.receive_manifest(car.vehicle, car.manifest(), at=NOON)

    assert received.findings == (f"image_unpublished:{car.serials[0]}:supplier/foreign-1.0",)


def test_a_clock_more_than_a_day_ahead_is_flagged(car):
    reports = car.reports()
    reports[car.serials[1]] = car.report(car.serials[1], timeserver_time="2026-06-02T12:00:01Z")

    received = operations.receive_manifest(car.vehicle, car.manifest(reports), at=NOON)

    assert received.findings == (f"clock_ahead:{car.serials[1]}:2026-06-02T12:00:01Z",)


# A25: impersonation.
def test_a25_another_vehicles_manifest_is_refused(car, gateway, brake):
    other = make_signing_vehicle(gateway.tenant, gateway, brake)

    refusal = refuse(car, other.manifest(), errors.ManifestOtherVehicleError)

    assert (refusal.code, refusal.status) == ("manifest.other_vehicle", 403)


def test_a25_a_manifest_that_names_another_primary_is_refused(car):
    refuse(car, car.manifest(primary_ecu_serial=car.serials[1]), errors.ManifestWrongPrimaryError)


def test_the_same_refused_manifest_is_stored_once(car):
    body = car.manifest(vehicle_id="VIN-OTHER")
    for _ in range(3):
        refuse(car, body, errors.ManifestOtherVehicleError)

    assert Manifest.objects.count() == 1


def received_hours():
    return [int((at - NOON).total_seconds()) // 3600 for at in received_times()]


def received_times():
    return Manifest.objects.order_by("received_at").values_list("received_at", flat=True)


def send(car, hour, **changes):
    operations.receive_manifest(car.vehicle, car.manifest(**changes), at=NOON + timedelta(hours=hour))


def test_of_manifests_that_say_the_same_the_first_and_the_last_are_kept(car, gateway):
    report = {"attempt": str(UUID(int=1)), "outcome": "success", "code": "", "message": ""}
    for hour in range(5):
        send(car, hour)
    assert received_hours() == [0, 4]

    send(car, 5, report=report)
    send(car, 6, report=report)
    send(car, 7, report=report)
    for hour in range(8, 12):
        send(car, hour)

    # Each with a report is kept, and so are the ends of what was said before and after them.
    assert received_hours() == [0, 4, 5, 6, 7, 8, 11]
    assert {row.manifest.received_at for row in InstalledImage.objects.select_related("manifest")} == {NOON}


def test_what_ran_before_another_image_and_after_it_are_runs_of_their_own(car):
    for hour in range(3):
        send(car, hour)
    one_less = {serial: car.reports()[serial] for serial in car.serials[:1]}
    operations.receive_manifest(car.vehicle, car.manifest(one_less), at=NOON + timedelta(hours=3))
    for hour in range(4, 7):
        send(car, hour)

    assert received_hours() == [0, 2, 3, 4, 6]


def test_manifests_from_before_an_enrolment_are_no_run_with_those_after_it(car):
    for hour in range(2):
        send(car, hour)
    Vehicle.objects.update(enrolled_at=NOON + timedelta(hours=2))
    for hour in range(2, 5):
        send(car, hour)

    assert received_hours() == [0, 1, 2, 4]


def test_of_many_that_are_refused_for_one_reason_the_first_and_the_last_are_kept(car, monkeypatch):
    monkeypatch.setattr(manifests, "REFUSED_KEPT", 3)
    for hour in range(6):
        with pytest.raises(errors.ManifestOtherVehicleError):
            send(car, hour, vehicle_id=f"VIN-OTHER{hour}")

    assert received_hours() == [0, 1, 5]
