"""Manifests, events and device data: what is taken, what is noted, and what is refused."""

import json

import pytest

from otaserver.campaigns.models import Report
from otaserver.director.models import Manifest
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import AttributeValue, Ecu, Vehicle
from tests.campaigns.campaign_factories import attempt_of, in_turn, make_running
from tests.factories import NOON
from tests.vehicle_api.aktualizr.simulated import RSA_KEYS, canonical, event
from tests.vehicle_api.aktualizr.simulated import Ecu as ClientEcu
from tests.vehicle_api.conftest import check_problem

MANIFEST = "director/manifest"


def proved():
    rows = Ecu.objects.order_by("pk").values_list("serial", "report_counter", "installed_target", "installed_sha256")
    return list(rows), list(Vehicle.objects.order_by("pk").values_list("confirmed_at", flat=True))


def refused(client, body, status, code):
    """Send what must be refused; it is kept as refused, and changes nothing."""
    before = proved()

    problem = check_problem(client.call("PUT", MANIFEST, body), status, code)

    assert proved() == before
    return problem


def signed_again(client, change, *, by=None):
    """A manifest of the client, changed and signed by its Primary, or by another key."""
    envelope = json.loads(client.manifest())
    change(envelope["signed"])
    return canonical((by or client.primary).envelope(envelope["signed"]))


def test_a_manifest_proves_what_all_ecus_run(factory):
    client = factory.vehicle(secondary=True)

    assert client.send_manifest().json() == {"findings": []}

    vehicle = Vehicle.objects.get()
    assert (vehicle.confirmed_at, vehicle.last_contact_at) == (NOON, NOON)
    assert [row[:3] for row in proved()[0]] == [("PRIM-VIN1", 1, "unknown"), ("SEC-VIN1", 0, "unknown")]


def test_the_same_bytes_again_get_the_same_answer_and_a_lower_counter_is_a_replay(factory):
    client = factory.vehicle()
    first, second = client.manifest(), client.manifest()
    for body in (first, first, second):
        assert client.call("PUT", MANIFEST, body).status_code == 200

    problem = refused(client, first, 409, "manifest.replayed")

    assert problem["report_counter"] == 2
    assert list(Manifest.objects.order_by("pk").values_list("is_accepted", flat=True)) == [True, True, False]


def test_who_has_counted_goes_on_counting(factory):
    client = factory.vehicle()
    client.send_manifest()
    report = client.primary.report()

    body = signed_again(client, lambda signed: signed["ecu_version_manifests"].update({"PRIM-VIN1": report}))

    refused(client, body, 409, "manifest.replayed")


def test_a_primary_that_never_counted_is_taken_and_noted(factory):
    client = factory.vehicle()
    report = client.primary.report()
    body = signed_again(client, lambda signed: signed["ecu_version_manifests"].update({"PRIM-VIN1": report}))

    assert client.call("PUT", MANIFEST, body).json() == {"findings": ["counter_missing:PRIM-VIN1"]}


def test_another_vehicles_manifest_is_refused(factory):
    first, second = factory.vehicle("VIN1"), factory.vehicle("VIN2")

    refused(first, second.manifest(), 422, "manifest.wrong_primary")


def test_a_report_of_another_vehicles_ecu_is_refused(factory):
    first, second = factory.vehicle("VIN1"), factory.vehicle("VIN2")
    foreign = second.primary.report(report_counter="9")

    body = signed_again(first, lambda signed: signed["ecu_version_manifests"].update({"PRIM-VIN2": foreign}))

    refused(first, body, 422, "manifest.foreign_ecu")


def test_a_report_signed_by_another_ecus_key_is_refused(factory):
    client = factory.vehicle(secondary=True)
    forged = client.primary.envelope(client.ecus[1].report()["signed"])

    body = signed_again(client, lambda signed: signed["ecu_version_manifests"].update({"SEC-VIN1": forged}))

    refused(client, body, 422, "manifest.signature_invalid")


def test_a_manifest_signed_by_another_key_or_changed_afterwards_is_refused(factory):
    client = factory.vehicle(secondary=True)
    envelope = json.loads(client.manifest())
    envelope["signed"]["custom"] = {"x": 1}

    refused(client, signed_again(client, lambda signed: None, by=client.ecus[1]), 422, "manifest.signature_invalid")
    refused(client, canonical(envelope), 422, "manifest.signature_invalid")


def test_an_ecu_with_a_new_key_must_register_first(factory):
    client = factory.vehicle(secondary=True)
    client.send_manifest()
    client.ecus[1] = ClientEcu("SEC-VIN1", "brake", RSA_KEYS[1])

    refused(client, client.manifest(), 422, "manifest.signature_invalid")
    fleet.announce_ecu_swap(Vehicle.objects.get(), old_serial="SEC-VIN1", reason="Crash.", by="alice", at=NOON)
    assert client.register().status_code == 200
    assert client.send_manifest().json() == {"findings": []}


def test_before_it_has_registered_a_vehicle_proves_nothing(factory):
    client = factory.vehicle(registered=False)

    refused(client, client.manifest(), 422, "manifest.wrong_primary")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "request.malformed"),
        (b"{", 400, "request.malformed"),
        (b"{}", 422, "manifest.malformed"),
        (b'{"signed":{"a":1,"a":2}}', 400, "request.malformed"),
        (b"\xff", 400, "request.malformed"),
        (b" " * (256 * 1024 + 1), 413, "request.too_large"),
    ],
)
def test_what_is_no_manifest_is_refused(factory, body, status, code):
    refused(factory.vehicle(), body, status, code)


def test_oddities_are_noted_and_cost_nothing(factory):
    client = factory.vehicle(secondary=True)
    unknown = ClientEcu("NOBODY", "radio").report()
    client.pending = {"report": {"correlation_id": "urn:here-ota:campaign:1"}}

    def oddly(signed):
        signed["ecu_version_manifests"]["NOBODY"] = unknown
        report = client.primary.report(report_counter="5", attacks_detected="Frozen.")
        report["signatures"][0]["keyid"] = "0" * 64
        signed["ecu_version_manifests"]["PRIM-VIN1"] = report

    answer = client.call("PUT", MANIFEST, signed_again(client, oddly))

    assert answer.json() == {
        "findings": [
            "report_unread:PRIM-VIN1:of no order of this server",
            "keyid_other:PRIM-VIN1",
            "unknown_ecu:NOBODY",
            "attack_detected:PRIM-VIN1:Frozen.",
        ]
    }
    assert Manifest.objects.get().findings == answer.json()["findings"]


# Events


@pytest.fixture
def ordered(factory):
    """A vehicle with an order, as its client would know it from the Director's targets."""
    client = factory.vehicle()
    campaign = make_running(vehicles=1, tenant=factory.tenant)
    (assignment,) = in_turn(campaign)
    client_vehicle = Vehicle.objects.get(vehicle_id="VIN1")
    assignment.attempts.update(vehicle=client_vehicle)
    type(assignment).objects.update(vehicle=client_vehicle)
    Vehicle.objects.update(last_attempt_number=1)
    assignment.refresh_from_db()
    client.correlation = f"urn:ota:attempt:{attempt_of(assignment).pk}"
    return client, assignment


def told(client, kind, **more):
    return event(kind, {"ecu": "PRIM-VIN1", "correlationId": client.correlation} | more, NOON)


@pytest.mark.parametrize(
    ("kind", "more", "state", "code"),
    [
        ("EcuDownloadStarted", {}, "downloading", ""),
        ("EcuDownloadCompleted", {"success": True}, "downloaded", ""),
        ("EcuDownloadCompleted", {"success": False}, "downloading", "download_failed"),
        ("EcuInstallationStarted", {}, "installing", ""),
        ("EcuInstallationApplied", {}, "installing", ""),
        ("EcuInstallationCompleted", {"success": True}, "installing", ""),
        ("EcuInstallationCompleted", {"success": False}, "installing", "install_failed"),
        ("DevicePaused", {}, "downloading", ""),
    ],
)
def test_an_event_is_progress_and_never_an_end(ordered, kind, more, state, code):
    client, assignment = ordered

    answer = client.call("POST", "events", [told(client, kind, **more)])

    assignment.refresh_from_db()
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
    assert (assignment.state, Report.objects.get().code, Report.objects.get().message) == (state, code, kind)


def test_an_event_sent_twice_is_kept_once(ordered):
    client, _ = ordered
    said = told(client, "EcuDownloadStarted")

    for _ in range(2):
        assert client.call("POST", "events", [said, said]).json()["accepted"] == 2

    assert Report.objects.count() == 1


BAD_EVENTS = [
    "x",
    {},
    {"eventType": {"id": "EcuDownloadStarted"}, "event": {}},
    event("SomethingElse", {"correlationId": "urn:ota:attempt:11111111-2222-4333-8444-555555555555"}, NOON),
    event("EcuDownloadStarted", {"correlationId": "urn:here-ota:campaign:1"}, NOON),
    event("EcuDownloadStarted", {"correlationId": "urn:ota:attempt:11111111-2222-4333-8444-555555555555"}, NOON),
]


def test_bad_events_cost_the_others_nothing_and_are_not_sent_again(ordered):
    client, _ = ordered
    late = told(client, "EcuDownloadStarted") | {"deviceTime": "yesterday"}
    unnamed = told(client, "EcuDownloadStarted") | {"id": "7"}
    nul = told(client, "EcuDownloadStarted", ecu="\0")

    answer = client.call("POST", "events", [*BAD_EVENTS, late, unnamed, nul, told(client, "EcuDownloadStarted")])

    assert (answer.status_code, answer.json()["accepted"], len(answer.json()["rejected"])) == (200, 1, 9)
    assert {one["code"] for one in answer.json()["rejected"]} == {"request.fields_invalid", "attempt.not_found"}
    assert Report.objects.count() == 1


def test_an_event_on_another_vehicles_attempt_is_refused(ordered, factory):
    client, assignment = ordered
    other = factory.vehicle("VIN2")

    answer = other.call("POST", "events", [told(client, "EcuInstallationStarted")])

    assignment.refresh_from_db()
    assert [one["code"] for one in answer.json()["rejected"]] == ["attempt.not_found"]
    assert (assignment.state, Report.objects.count()) == ("offered", 0)


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), ({}, 422), ([1] * 501, 422), (b" " * (512 * 1024 + 1), 413)])
def test_what_is_no_batch_of_events_is_refused(factory, body, status):
    assert factory.vehicle().call("POST", "events", body).status_code == status


# Device data


def reported(client, method, path, body, **others):
    answer = client.call(method, path, body, **others)
    assert (answer.status_code, answer.json()) == (200, {})
    return dict(Vehicle.objects.get().reported_attributes.values_list("name", "text"))


def test_the_network_is_kept_and_sets_what_is_declared(factory):
    client = factory.vehicle()
    fleet.declare_attribute(factory.tenant, name="hostname", type="text", by="alice", at=NOON)
    body = {"hostname": "car", "local_ipv4": "192.0.2.7", "mac": "02:00:00:00:00:01"}

    assert reported(client, "PUT", "system_info/network", body) == body

    assert list(AttributeValue.objects.values_list("attribute__name", "text")) == [("hostname", "car")]


@pytest.mark.parametrize("wrap", [lambda tree: tree, lambda tree: [tree]])
def test_of_the_hardware_what_the_device_is_is_kept(factory, wrap):
    tree = {"id": "board", "product": "QEMU", "width": 64, "clock": 1.5, "children": [{"id": "core", "serial": "x"}]}

    found = reported(factory.vehicle(), "PUT", "system_info", wrap(tree))

    assert found == {"hardware_id": "board", "hardware_product": "QEMU"}


def test_packages_and_configuration_are_kept_as_far_as_they_fit(factory):
    client = factory.vehicle()

    reported(
        client, "PUT", "core/installed", [{"name": "fake-package", "version": "1.0"}, {"name": "b", "version": ""}]
    )
    found = reported(
        client, "POST", "system_info/config", b"[tls]\nserver = \0\xff" + b"x" * 9000, content_type="application/toml"
    )

    assert found["installed_packages"] == "fake-package 1.0\nb "
    assert found["aktualizr_config"].startswith("[tls]\nserver =  \N{REPLACEMENT CHARACTER}x")
    assert len(found["aktualizr_config"]) == 4096


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "system_info", b"{", 400),
        ("PUT", "system_info", b"[]", 422),
        ("PUT", "system_info", {"product": 7}, 422),
        ("PUT", "system_info/network", "x", 422),
        ("PUT", "system_info/network", b'{"hostname":"\\u0000"}', 400),
        ("PUT", "core/installed", {}, 422),
        ("PUT", "core/installed", [{"name": "x"}], 422),
        ("POST", "system_info/config", b" " * (256 * 1024 + 1), 413),
        ("GET", "system_info", None, 405),
    ],
)
def test_malformed_device_data_is_refused_and_changes_nothing(factory, method, path, body, status):
    client = factory.vehicle()

    assert client.call(method, path, body).status_code == status

    assert not Vehicle.objects.get().reported_attributes.exists()
