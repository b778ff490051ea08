"""Work for a device: what it gets, what holds it, what takes it back; and what it may not see or say."""

import json
import uuid
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client, RequestFactory

from firmware_store.formats.facts import Contents, Format
from firmware_store.models import Package
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.models import LogTail, Report
from otaserver.campaigns.operations import workshop
from otaserver.campaigns.rules.windows import Window
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Credential, Ecu, Vehicle
from otaserver.wsgi import without_front
from tests.factories import NOON, make_tenant
from tests.vehicle_api.mender.conftest import ask, let_in
from tests.vehicle_api.mender.stage import DEPLOYMENT, DEVICE_TYPE, order_app

pytestmark = pytest.mark.any_database

# From one o'clock to two; it is noon.
LATER = Window(weekdays=127, start_minute=13 * 60, length_minutes=60)
BASE = "deployments/device/deployments"


def order(device, server_clock, **plan):
    return order_app(Vehicle.objects.get(vehicle_id=device.vehicle_id), server_clock, **plan)


def say(device, status, deployment=DEPLOYMENT, **more):
    return device.send("PUT", f"v1/{BASE}/{deployment}/status", {"status": status, **more})


def gate(device, deployment=DEPLOYMENT):
    return device.send("GET", f"v2/{BASE}/{deployment}/update_control_map")


def action(answer):
    return answer.json()["update_control_map"]["states"]["ArtifactInstall_Enter"]["action"]


def log(device, body, deployment=DEPLOYMENT):
    return device.send("PUT", f"v1/{BASE}/{deployment}/log", body)


def messages(*texts, level="info"):
    return {"messages": [{"timestamp": "2026-06-01T12:00:00Z", "level": level, "message": text} for text in texts]}


def check_refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content


REQUESTS = [
    ("PUT", "v1/inventory/device/attributes", []),
    ("POST", f"v2/{BASE}/next", {}),
    ("POST", f"v1/{BASE}/next", {}),
    ("GET", f"v1/{BASE}/next?artifact_name=a&device_type=b", b""),
    ("GET", f"v2/{BASE}/{DEPLOYMENT}/update_control_map", b""),
    ("PUT", f"v1/{BASE}/{DEPLOYMENT}/status", {"status": "success"}),
    ("PUT", f"v1/{BASE}/{DEPLOYMENT}/log", {"messages": []}),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda given: f"{given[0]} {given[1]}")
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer guess", "Basic b3RhOm90YQ=="])
def test_without_a_good_token_everything_is_401_and_nothing_changes(device, server_clock, request_, header):
    stage = order(device, server_clock)

    answer = device.send(*request_, headers={"Authorization": header} if header else {"X-None": ""})

    check_refused(answer, 401, "credential.invalid")
    assert stage.outcome() == ("offered", "")


def test_a_vehicles_own_token_of_another_protocol_is_none_here(device):
    vehicle = Vehicle.objects.get()
    Credential.objects.filter(vehicle=vehicle).update(kind="token")

    check_refused(ask(device), 401, "credential.invalid")


@pytest.mark.parametrize("other_tenant", [False, True])
def test_another_devices_deployment_is_not_there(tenant, device, server_clock, other_tenant):
    stage = order(device, server_clock)
    stranger = let_in(make_tenant("other") if other_tenant else tenant, "VIN2")

    for status in ("downloading", "installing", "success", "failure"):
        check_refused(say(stranger, status), 404, "attempt.not_found")
    check_refused(gate(stranger), 404, "attempt.not_found")
    check_refused(log(stranger, messages("mine")), 404, "attempt.not_found")
    assert ask(stranger).status_code == 204
    assert (stage.outcome(), Report.objects.count(), LogTail.objects.count()) == (("offered", ""), 0, 0)


@pytest.mark.parametrize("deployment", [uuid.uuid4(), "1", "..%2f..", "x" * 300])
def test_a_deployment_that_there_is_not_is_not_found(device, deployment):
    assert say(device, "success", deployment).status_code == 404
    assert gate(device, deployment).status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "request.malformed"),
        (b"{", "request.malformed"),
        ([], "request.fields_invalid"),
        ({}, "request.fields_invalid"),
        ({"status": 7}, "request.fields_invalid"),
        ({"status": "decommissioned"}, "request.fields_invalid"),
        ({"status": "x" * 100}, "request.fields_invalid"),
        ({"status": "downloading", "substate": 7}, "request.fields_invalid"),
    ],
)
def test_a_status_that_is_none_is_refused_and_moves_nothing(device, server_clock, body, code):
    stage = order(device, server_clock)

    check_refused(device.send("PUT", f"v1/{BASE}/{DEPLOYMENT}/status", body), 400, code)
    assert (stage.outcome(), Report.objects.count()) == (("offered", ""), 0)


@pytest.mark.parametrize(
    "provides",
    [
        None,
        {},
        {"artifact_name": "a"},
        {"artifact_name": "a", "device_type": 7},
        {"artifact_name": "a", "device_type": "b" * 256},
        {"artifact_name": "a", "device_type": "b\0"},
    ],
)
def test_who_does_not_say_what_runs_where_gets_nothing(device, server_clock, provides):
    stage = order(device, server_clock)

    answer = device.send("POST", f"v2/{BASE}/next", {"device_provides": provides, "update_control_map": True})

    assert answer.status_code == 400
    assert stage.outcome() == ("offered", "")


def test_the_address_of_an_artifact_needs_no_token_and_ends(device, server_clock):
    order(device, server_clock)
    uri = ask(device).json()["artifact"]["source"]["uri"]

    # The factories' packages have no bytes: the address is good, and there is nothing behind it.
    check_refused(Client().get(uri), 404, "download.not_found")
    check_refused(Client().get(uri.replace("signature=", "signature=0")), 403, "download.forbidden")
    server_clock.advance(days=1, seconds=1)
    check_refused(Client().get(uri), 403, "download.forbidden")


def test_a_repeated_status_is_one_report(device, server_clock):
    stage = order(device, server_clock)

    answers = [say(device, "downloading").status_code for _ in range(3)]

    assert answers == [204, 204, 204]
    assert stage.outcome() == ("downloading", "")
    assert Report.objects.count() == 1


def test_success_said_again_and_failure_after_it_are_heard_and_move_what_they_may(device, server_clock):
    stage = order(device, server_clock)
    for status in ("downloading", "installing", "success", "success"):
        assert say(device, status).status_code == 204
    assert stage.outcome() == ("soaking", "")

    assert say(device, "failure").status_code == 204

    # Its word alone contradicts itself: what it says next that it runs decides.
    assert stage.outcome() == ("soaking", "")
    ask(device, "app-1.0")
    assert stage.outcome() == ("failed", "reverted")


def test_a_device_that_says_it_runs_something_else_during_its_soak_has_gone_back(device, server_clock):
    stage = order(device, server_clock)
    say(device, "installing")
    say(device, "success")

    assert ask(device, "app-1.1").status_code == 204
    assert (stage.outcome(), stage.installed) == (("soaking", ""), "supplier/app-1.1")
    ask(device, "app-1.0")

    assert (stage.outcome(), stage.installed) == (("failed", "reverted"), "app-1.0")


def test_what_was_installed_counts_even_if_the_device_only_says_so_when_it_asks_again(device, server_clock):
    stage = order(device, server_clock)
    say(device, "installing")

    assert ask(device, "app-1.1").status_code == 204

    assert (stage.outcome(), stage.installed) == (("soaking", ""), "supplier/app-1.1")


def test_who_asks_again_during_an_installation_is_told_the_same_again(device, server_clock):
    stage = order(device, server_clock)
    say(device, "installing")

    assert ask(device).json()["id"] == DEPLOYMENT
    assert stage.outcome() == ("installing", "")


def test_a_device_that_could_not_go_back_needs_hands(device, server_clock):
    stage = order(device, server_clock)
    say(device, "installing")
    say(device, "failure")
    assert stage.outcome() == ("failed", "install_failed")

    ask(device, "app-1.1_INCONSISTENT")

    assert stage.outcome() == ("failed", "revert_failed")
    workshop.open_failed_cases(NOON)
    assert Vehicle.objects.get().workshop_cases.get().code == "revert_failed"


def test_a_download_that_failed_is_tried_again(device, server_clock):
    stage = order(device, server_clock)
    say(device, "downloading")
    say(device, "failure")
    assert stage.outcome() == ("waiting", "download_failed")

    server_clock.advance(days=1)
    stage.tick()

    assert stage.outcome() == ("offered", "")
    assert ask(device).json()["id"] == str(stage.attempt.pk) != DEPLOYMENT


def test_a_late_failure_of_an_older_deployment_moves_nothing(device, server_clock):
    stage = order(device, server_clock)
    say(device, "downloading")
    say(device, "failure")
    server_clock.advance(days=1)
    stage.tick()

    assert say(device, "failure").status_code == 204
    assert say(device, "installing").status_code == 409
    assert stage.outcome() == ("offered", "")


def test_outside_its_window_a_client_that_reads_maps_downloads_and_waits(device, server_clock):
    stage = order(device, server_clock, windows=[LATER])

    assert ask(device).status_code == 200
    say(device, "downloading")
    assert action(gate(device)) == "pause"
    say(device, "pause_before_installing")

    assert stage.outcome() == ("held", "window")
    server_clock.advance(hours=1)
    assert action(gate(device)) == "continue"
    assert say(device, "installing").status_code == 204
    assert stage.outcome() == ("installing", "")


def test_who_begins_to_install_before_the_gate_is_open_is_stopped_and_has_its_turn_again(device, server_clock):
    stage = order(device, server_clock, windows=[LATER])
    say(device, "downloading")

    check_refused(say(device, "installing"), 409, "deployment.aborted")
    assert stage.outcome() == ("held", "window")
    say(device, "failure")

    assert stage.outcome()[0] == "waiting"
    # The server's own doing is no failed attempt of the device's.
    assert stage.attempt.outcome == "none"


def test_a_client_that_reads_no_maps_gets_nothing_outside_its_window(tenant, server_clock):
    device = let_in(tenant)
    assert ask(device, reads_maps=False).status_code == 204
    stage = order(device, server_clock, windows=[LATER])
    assert stage.outcome() == ("waiting", "withheld_window")

    server_clock.advance(hours=1)
    stage.tick()

    assert stage.outcome() == ("offered", "")
    found = ask(device, reads_maps=False).json()
    assert "update_control_map" not in found


def test_a_client_that_reads_maps_no_longer_gets_nothing_while_the_gate_is_shut(device, server_clock):
    stage = order(device, server_clock, windows=[LATER])

    assert ask(device, reads_maps=False).status_code == 204
    assert stage.outcome() == ("held", "window")
    server_clock.advance(hours=1)

    assert ask(device, reads_maps=False).status_code == 200


def test_an_owner_who_has_not_agreed_holds_it_and_one_who_agrees_releases_it(device, server_clock):
    stage = order(device, server_clock, consent="ask")
    say(device, "downloading")
    assert action(gate(device)) == "pause"
    assert stage.outcome() == ("held", "consent")

    answer = campaigns.ConsentAnswer("yes", "owner", "en", "0" * 64)
    campaigns.record_consent_on_behalf(stage.assignment, answer, recorded_by="mia", at=NOON)

    assert action(gate(device)) == "continue"


def test_the_deadline_of_an_owner_counts_from_when_the_device_hears_of_the_question(device, server_clock):
    stage = order(device, server_clock, consent="ask_with_deadline", consent_deadline_seconds=3600)
    assert ask(device).status_code == 200

    server_clock.advance(minutes=59)
    before = action(gate(device))
    server_clock.advance(minutes=1)

    assert (before, action(gate(device)), action(gate(device))) == ("pause", "continue", "continue")
    assert list(stage.assignment.consents.values_list("decision", "by")) == [("deadline", "server")]


def test_preconditions_are_judged_by_what_the_device_says_of_itself(tenant, device, server_clock):
    fleet.declare_attribute(tenant, name="parked", type="boolean", by="test", at=NOON)
    stage = order(device, server_clock, preconditions=[{"name": "parked", "operator": "==", "value": True}])
    assert stage.outcome() == ("waiting", "withheld_precondition")

    state = [{"name": "parked", "value": "true"}, {"name": "device_type", "value": DEVICE_TYPE}]
    assert device.send("PUT", "v1/inventory/device/attributes", state).status_code == 200
    server_clock.advance(minutes=10)
    stage.tick()
    deployment = ask(device).json()["id"]
    assert action(gate(device, deployment)) == "continue"

    state[0]["value"] = "false"
    device.send("PUT", "v1/inventory/device/attributes", state)
    assert action(gate(device, deployment)) == "pause"
    assert stage.outcome() == ("held", "precondition")
    assert stage.assignment.message == "parked is false, must be == true."


def test_a_stop_reaches_it_at_every_step_before_it_installs(device, server_clock):
    stage = order(device, server_clock)
    say(device, "downloading")
    stage.stop()

    for status in ("downloading", "pause_before_installing", "installing"):
        check_refused(say(device, status), 409, "deployment.aborted")
    check_refused(gate(device), 404, "attempt.not_found")
    assert stage.outcome()[0] == "withdrawing"
    assert say(device, "failure").status_code == 204
    assert stage.outcome()[0] == "withdrawn"
    assert stage.attempt.code != "install_failed"


def test_a_stop_does_not_interrupt_what_is_being_installed(device, server_clock):
    stage = order(device, server_clock)
    say(device, "installing")
    stage.stop()

    assert [say(device, status).status_code for status in ("installing", "rebooting", "success")] == [204, 204, 204]
    assert stage.outcome() == ("soaking", "")


def test_an_order_that_was_taken_back_before_the_device_asked_is_over_when_it_asks(device, server_clock):
    stage = order(device, server_clock)
    stage.stop()
    assert stage.outcome()[0] == "withdrawing"

    assert ask(device).status_code == 204
    assert stage.outcome()[0] == "withdrawn"


def test_a_blocked_device_is_answered_and_gets_nothing(device, server_clock):
    order(device, server_clock)
    fleet.block_vehicle(Vehicle.objects.get(), reason="Stolen.", by="mia", at=NOON)

    assert ask(device).status_code == 204
    assert say(device, "installing").status_code == 409


def test_a_rejected_device_is_out_in_the_middle_of_its_deployment(device, server_clock):
    stage = order(device, server_clock)
    say(device, "downloading")

    fleet.reject_authentication(Vehicle.objects.get().authentication_sets.get(), reason="Sold.", by="mia", at=NOON)

    check_refused(say(device, "installing"), 401, "credential.invalid")
    assert stage.outcome() == ("downloading", "")


def test_a_log_is_kept_as_its_end(device, server_clock):
    order(device, server_clock)
    say(device, "installing")
    say(device, "failure")

    assert log(device, messages("a" * 70_000, "the end")).status_code == 204

    text = LogTail.objects.get().text
    assert (len(text), text.endswith("2026-06-01T12:00:00Z info the end")) == (64 * 1024, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not JSON", 400),
        ({}, 400),
        ({"messages": 7}, 400),
        ({"messages": [7, None, {}]}, 204),
        (json.dumps(messages("a" * (1024 * 1024))).encode(), 413),
    ],
)
def test_a_log_that_is_none_or_too_long_is_refused(device, server_clock, body, status):
    order(device, server_clock)

    assert log(device, body).status_code == status
    assert LogTail.objects.count() == (status == 204)


def test_of_endless_logs_some_are_kept_and_the_device_is_told_nothing_of_it(device, server_clock):
    order(device, server_clock)

    answers = {log(device, messages(f"log {number}")).status_code for number in range(25)}

    assert (answers, LogTail.objects.count()) == ({204}, 20)


def test_what_a_module_printed_does_not_hide_why_it_failed(device, server_clock):
    stage = order(device, server_clock)
    say(device, "downloading")
    say(device, "failure")

    answer = log(device, messages("bad\0 byte \ud800", "invalid\0 signature", level="error"))

    assert answer.status_code == 204
    assert LogTail.objects.get().text.endswith("error bad  byte  \n2026-06-01T12:00:00Z error invalid  signature")
    assert stage.outcome()[1] == "verification_failed"


def test_a_word_of_a_signature_in_a_log_that_is_no_error_explains_nothing(device, server_clock):
    stage = order(device, server_clock)
    say(device, "downloading")
    say(device, "failure")

    log(device, messages("the signature is fine"))

    assert stage.outcome() == ("waiting", "download_failed")


@pytest.mark.any_database
def test_waiting_at_the_gate_for_days_leaves_room_for_what_matters(device, server_clock):
    stage = order(device, server_clock, windows=[LATER])
    say(device, "downloading")
    for _ in range(50):
        server_clock.advance(seconds=30)
        gate(device)

    assert Report.objects.filter(phase="held").count() == 1
    server_clock.advance(minutes=40)
    assert say(device, "installing").status_code == 204
    assert stage.outcome() == ("installing", "")


def test_asking_again_and_again_writes_no_row_for_each(device, server_clock, django_assert_max_num_queries):
    ask(device)
    before = Vehicle.objects.values().get()
    server_clock.advance(seconds=10)

    with django_assert_max_num_queries(12):
        assert ask(device).status_code == 204

    assert Vehicle.objects.values().get() == before


def test_other_hardware_is_another_ecu_and_what_it_ran_is_forgotten(device):
    ask(device, device_type="raspberrypi4")

    ecu = Vehicle.objects.get().ecus.get()
    assert (ecu.serial, ecu.hardware_id, ecu.installed_target) == (device.vehicle_id, "raspberrypi4", "app-1.0")
    assert ecu.installed_at == NOON


def test_an_ecu_that_is_known_by_another_serial_stays_it(device):
    Ecu.objects.update(serial="from-the-factory")

    ask(device, "app-0.9")
    ask(device, "app-0.9", device_type="raspberrypi4")

    ecu = Ecu.objects.get()
    assert (ecu.serial, ecu.hardware_id, ecu.installed_target) == ("from-the-factory", "raspberrypi4", "app-0.9")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [7],
        [{"value": "a"}],
        [{"name": "a"}],
        [{"name": "a", "value": {"b": "c"}}],
        [{"name": "a", "value": [["b"]]}],
        [{"name": "", "value": "a"}],
        [{"name": "a\0", "value": "b"}],
        [{"name": "device_type", "value": "two words"}],
        [{"name": str(number), "value": "a"} for number in range(101)],
    ],
)
def test_an_inventory_that_is_none_is_refused_whole(device, body):
    good = [{"name": "good", "value": "yes"}]

    answer = device.send("PUT", "v1/inventory/device/attributes", good + body if isinstance(body, list) else body)

    assert answer.status_code == 400, answer.content
    assert not Vehicle.objects.get().reported_attributes.exists()


def test_put_replaces_what_was_said_before_and_patch_adds_to_it(device):
    path = "v1/inventory/device/attributes"
    device.send("PUT", path, [{"name": "a", "value": "1"}, {"name": "b", "value": 2}])
    device.send("PATCH", path, [{"name": "b", "value": True}, {"name": "c", "value": []}])
    names = Vehicle.objects.get().reported_attributes
    assert dict(names.values_list("name", "text")) == {"a": "1", "b": "true", "c": ""}

    device.send("PUT", path, [{"name": "c", "value": ["x", "y"]}])

    assert dict(names.values_list("name", "text")) == {"c": "x, y"}


def test_a_session_that_ended_sends_the_device_back_to_ask_to_be_let_in(device, server_clock):
    server_clock.advance(days=7)
    check_refused(ask(device), 401, "credential.invalid")

    assert device.authenticate().status_code == 200
    assert ask(device).status_code == 204
    assert Vehicle.objects.get().last_contact_at == NOON + timedelta(days=7)


class Endless:
    """A body in chunks that never ends."""

    def __init__(self):
        self.sent = 0

    def read(self, size=-1):
        assert size > 0, "asked for all of it"
        self.sent += size
        return b" " * size


def test_an_endless_log_is_given_up_before_anybody_looks_at_it():
    body, answered = Endless(), []
    environ = RequestFactory().generic("PUT", f"/api/devices/v1/{BASE}/{DEPLOYMENT}/log").environ
    environ |= {"CONTENT_LENGTH": "", "wsgi.input": body, "wsgi.input_terminated": True}

    b"".join(without_front(environ, lambda status, headers: answered.extend([status, dict(headers)["Connection"]])))

    assert answered == ["413 Request Entity Too Large", "close"]
    assert body.sent <= settings.MAX_BODY_BYTES + 1


def test_an_artifact_goes_by_the_name_in_its_file_whatever_its_package_is_called(device, server_clock):
    stage = order(device, server_clock)
    package = Package.objects.get(name="app", version="1.1")
    package.contents = Contents(Format.MENDER, name="spring", details={"artifact_name": "spring"}).stored()
    package.save()

    asked = ask(device)
    say(device, "success")
    server_clock.now += timedelta(minutes=1)
    again = ask(device, "spring")

    assert asked.json()["artifact"]["artifact_name"] == "spring"
    assert again.status_code == 204
    assert stage.installed == package.target_name
    assert stage.outcome() == ("soaking", "")
