import json
from datetime import timedelta

import pytest

from firmware_store.states import Repository
from otaserver.campaigns.models import Report
from otaserver.director import operations as director
from otaserver.director.models import Manifest, VehicleMetadata
from otaserver.discreet import shortened
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant
from tests.director.orders import make_order
from tests.director.signing_vehicle import make_signing_vehicle
from tests.factories import NOON, make_package, make_tenant
from tests.vehicle_api.conftest import check_problem

pytestmark = pytest.mark.any_database

TIMESTAMP = "director/metadata/timestamp.json"


def test_the_timestamp_comes_with_the_polling_interval(caller, car):
    Tenant.objects.update(polling_seconds=45)

    response = caller.get(TIMESTAMP)

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["OTA-Polling-Seconds"] == "45"
    assert "OTA-Send-Manifest" not in response
    assert response.content == bytes(VehicleMetadata.objects.get().timestamp)


def test_an_unchanged_timestamp_is_304_with_the_same_headers(caller):
    etag = caller.get(TIMESTAMP)["ETag"]

    response = caller.get(TIMESTAMP, If_None_Match=etag)

    assert (response.status_code, response.content) == (304, b"")
    assert response["ETag"] == etag
    assert response["OTA-Polling-Seconds"] == "300"


def test_an_idle_poll_that_gets_as_far_as_django_costs_three_queries(caller, django_assert_num_queries):
    etag = caller.get(TIMESTAMP)["ETag"]

    with django_assert_num_queries(3):
        response = caller.get(TIMESTAMP, If_None_Match=etag)

    assert response.status_code == 304


def test_a_new_order_ends_the_304(caller, car, trust):
    etag = caller.get(TIMESTAMP)["ETag"]
    package = make_package(trust.tenant)
    director.direct({car.vehicle.pk: make_order(car.vehicle, package)}, at=NOON)

    response = caller.get(TIMESTAMP, If_None_Match=etag)

    assert response.status_code == 200
    assert response["ETag"] != etag


def test_a_wanted_manifest_is_asked_for_on_200_and_304(caller, car):
    Vehicle.objects.update(is_manifest_wanted=True)

    first = caller.get(TIMESTAMP)
    second = caller.get(TIMESTAMP, If_None_Match=first["ETag"])

    assert (first["OTA-Send-Manifest"], second["OTA-Send-Manifest"]) == ("1", "1")


def test_a_poll_is_a_contact_noted_once_a_minute(caller, server_clock):
    caller.get(TIMESTAMP)
    server_clock.advance(seconds=59)
    caller.get(TIMESTAMP)
    noted = Vehicle.objects.get().last_contact_at
    server_clock.advance(seconds=1)
    caller.get(TIMESTAMP)

    assert (noted, Vehicle.objects.get().last_contact_at) == (NOON, NOON + timedelta(minutes=1))


def test_the_numbered_files_that_the_timestamp_leads_to_are_served(caller, car, trust):
    director.direct({car.vehicle.pk: make_order(car.vehicle, make_package(trust.tenant))}, at=NOON)
    timestamp = caller.get(TIMESTAMP).json()["signed"]
    snapshot = caller.get(f"director/metadata/{timestamp['meta']['snapshot.json']['version']}.snapshot.json")
    version = snapshot.json()["signed"]["meta"]["targets.json"]["version"]

    targets = caller.get(f"director/metadata/{version}.targets.json")

    assert list(targets.json()["signed"]["targets"]) == ["supplier/engine-1.0"]
    assert caller.get("director/metadata/targets.json").content == targets.content
    assert caller.get("director/metadata/snapshot.json").content == snapshot.content
    assert caller.get(f"director/metadata/{version}.targets.json", If_None_Match=targets["ETag"]).status_code == 304


@pytest.mark.parametrize("name", ["7.targets.json", "7.snapshot.json", "7.root.json"])
def test_a_version_that_does_not_exist_is_404(caller, name):
    caller.get(TIMESTAMP)

    check_problem(caller.get(f"director/metadata/{name}"), 404, "metadata.not_found")


def test_roots_are_public_and_kept(caller, client, trust):
    trust.rotate(Repository.DIRECTOR, at=NOON)

    first, second = (client.get(f"/uptane/acme/director/metadata/{number}.root.json") for number in (1, 2))
    newest = client.get("/uptane/ACME/director/metadata/root.json")

    assert [root.json()["signed"]["version"] for root in (first, second, newest)] == [1, 2, 2]
    assert "immutable" in first["Cache-Control"]
    assert newest["Cache-Control"] == "public, no-cache"


def test_after_a_root_rotation_a_vehicle_gets_fresh_signatures(caller, trust):
    etag = caller.get(TIMESTAMP)["ETag"]
    trust.rotate(Repository.DIRECTOR, at=NOON)

    response = caller.get(TIMESTAMP, If_None_Match=etag)

    assert response.status_code == 200


# A25: nobody but the vehicle itself gets its metadata or speaks for it.
@pytest.mark.parametrize(
    "name", ["timestamp.json", "targets.json", "snapshot.json", "1.targets.json", "1.snapshot.json"]
)
def test_a25_metadata_without_a_credential_is_refused(client, trust, car, name):
    response = client.get(f"/uptane/acme/director/metadata/{name}")

    check_problem(response, 401, "credential.invalid")
    assert response["WWW-Authenticate"] == "Bearer"
    assert not VehicleMetadata.objects.exists()


def test_a25_another_tenants_token_is_refused(caller):
    make_tenant("other")
    caller.tenant = "other"

    check_problem(caller.get(TIMESTAMP), 401, "credential.invalid")


def test_a25_another_vehicles_manifest_is_403_and_changes_nothing(caller, car, trust):
    other = make_signing_vehicle(trust.tenant)

    check_problem(caller.post("director/manifest", other.manifest()), 403, "manifest.other_vehicle")

    assert set(Vehicle.objects.values_list("confirmed_at", flat=True)) == {None}
    assert list(Manifest.objects.values_list("vehicle__pk", "is_accepted")) == [(car.vehicle.pk, False)]


def test_an_accepted_manifest_answers_its_findings(caller, car):
    body = car.manifest({car.serials[0]: car.reports()[car.serials[0]]})

    response = caller.post("director/manifest", body)

    assert (response.status_code, response.json()) == (200, {"findings": [f"missing_ecu:{car.serials[1]}"]})
    assert Vehicle.objects.get().confirmed_at == NOON


def test_a23_an_exact_resend_is_answered_alike_and_a_replay_is_409(caller, car):
    first, second = car.manifest(), car.manifest()
    assert caller.post("director/manifest", first).json() == {"findings": []}
    assert caller.post("director/manifest", first).json() == {"findings": []}
    caller.post("director/manifest", second)

    problem = check_problem(caller.post("director/manifest", first), 409, "manifest.replayed")

    assert problem["report_counter"] == 2
    assert list(Manifest.objects.order_by("pk").values_list("is_accepted", flat=True)) == [True, True, False]


def test_a24_findings_are_logged(caller, car, caplog):
    caller.post("director/manifest", car.manifest(car.reports(attacks_detected="freeze")))

    assert f"attack_detected:{car.serials[0]}:freeze" in caplog.text
    assert f"vehicle={shortened(car.vehicle.vehicle_id)}" in caplog.text


def test_malformed_json_is_400_with_its_position(caller):
    problem = check_problem(caller.post("director/manifest", b'{"signed": nope}'), 400, "request.malformed")

    assert (problem["line"], problem["column"]) == (1, 12)


def test_a_manifest_that_is_too_large_is_413(caller):
    check_problem(caller.post("director/manifest", b"x" * (256 * 1024 + 1)), 413, "request.too_large")


def test_a_manifest_with_a_report_on_an_attempt_that_is_not_the_vehicles_still_proves(caller, car):
    report = {"attempt": "00000000-0000-0000-0000-000000000001", "outcome": "success", "code": "", "message": ""}

    response = caller.post("director/manifest", car.manifest(report=report))

    assert response.status_code == 200
    assert Vehicle.objects.get().confirmed_at == NOON
    assert not Report.objects.exists()


def test_head_gets_the_headers_and_confirms_nothing(caller):
    response = caller.head(TIMESTAMP)

    assert (response.status_code, response.content) == (200, b"")
    assert json.loads(bytes(VehicleMetadata.objects.get().timestamp))["signed"]["version"] == 1
