"""Every row of hawkBit's table of status codes, with its body or without."""

import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.models import Report
from otaserver.campaigns.operations import reports
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api.ddi import limits
from tests.campaigns.campaign_factories import report
from tests.factories import NOON
from tests.vehicle_api.ddi.conftest import GATEWAY, Device, make_device, make_world

pytestmark = pytest.mark.any_database

GOOD = {"status": {"execution": "proceeding", "result": {"finished": "none"}}}
NOT_READABLE = "hawkbit.server.error.rest.body.notReadable"
QUOTA = "hawkbit.server.error.quota.tooManyEntries"
BAD_ATTRIBUTES = "hawkbit.server.error.repo.invalidTargetAttributes"


def error(answer):
    """Return the status and, where there is a body, its error code; a body has exactly three members."""
    if not answer.content:
        return answer.status_code, None
    body = answer.json()
    assert set(body) == {"exceptionClass", "errorCode", "message"}
    assert body["message"]
    return answer.status_code, body["errorCode"]


def test_no_or_invalid_credentials_are_401_without_a_body(world):
    assert error(Device(world.tenant, authorization="").get()) == (401, None)
    assert error(Device(world.tenant, authorization="TargetToken wrong-token").get()) == (401, None)


def test_a_blocked_address_is_403(world, settings):
    settings.BLOCKED_ADDRESSES = frozenset({"127.0.0.1"})

    assert error(world.device.get()) == (403, None)


def test_too_many_requests_a_second_from_a_public_address_are_429(world, settings, monkeypatch):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    monkeypatch.setattr(limits, "READS_PER_SECOND", 2)
    monkeypatch.setattr(limits, "WRITES_PER_SECOND", 1)
    monkeypatch.setattr(limits.time, "monotonic", lambda: 7.0)
    limits._counts.clear()
    public, private = {"X-Forwarded-For": "8.8.8.8"}, {"X-Forwarded-For": "10.0.0.1"}

    reads = [world.device.get(**public).status_code for _ in range(3)]
    writes = [world.device.put("/configData", {"data": {"a": "b"}}, **public).status_code for _ in range(2)]

    assert (reads, writes) == ([200, 200, 429], [200, 429])
    assert [world.device.get(**private).status_code for _ in range(5)] == [200] * 5
    monkeypatch.setattr(limits.time, "monotonic", lambda: 8.0)
    assert world.device.get(**public).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/configData"),
        ("GET", "/deploymentBase/1"),
        ("POST", "/deploymentBase/1/feedback"),
        ("GET", "/cancelAction/1"),
        ("GET", "/installedBase/1"),
        ("POST", "/confirmationBase/activateAutoConfirm"),
        ("GET", "/softwaremodules/1/artifacts"),
    ],
)
def test_an_unknown_target_is_404_but_for_its_poll(world, method, path):
    fleet.create_gateway_token(world.tenant, name="line", token=GATEWAY, by="alice", at=NOON)
    unknown = Device(world.tenant, "unknown", f"GatewayToken {GATEWAY}")
    body = {"data": {"a": "b"}} if method == "PUT" else GOOD

    answer = unknown.get(path) if method == "GET" else unknown.send(method, path, body)

    assert error(answer) == (404, None)
    assert not Vehicle.objects.filter(vehicle_id="unknown").exists()


@pytest.mark.parametrize("number", ["2", "999999999", "0", "-1", "x", "99999999999999999999"])
def test_an_unknown_action_is_404(world, number):
    assert error(world.device.get(f"/deploymentBase/{number}")) == (404, None)
    assert error(world.device.post(f"/deploymentBase/{number}/feedback", GOOD)) == (404, None)


def test_another_targets_action_artifact_or_history_is_404(world):
    _, other = make_device(world.tenant, "dev2", token="token-of-the-second")

    for path in ("/deploymentBase/1", "/installedBase/1", "/cancelAction/1", "/confirmationBase/1", world.artifact):
        assert error(other.get(path)) == (404, None)
    assert error(other.post("/deploymentBase/1/feedback", GOOD)) == (404, None)
    assert Report.objects.count() == 0


def test_the_wrong_state_for_a_resource_is_404(world):
    assert error(world.device.get("/cancelAction/1")) == (404, None)
    assert error(world.device.get("/installedBase/1")) == (404, None)
    assert error(world.device.get("/confirmationBase/1")) == (404, None)
    operations.stop_campaign(world.campaign, reason="smoke", by="alice", at=NOON)
    assert error(world.device.get("/deploymentBase/1")) == (404, None)


def test_feedback_to_a_closed_action_is_410(world):
    report(world.assignment, "finished", "failure", "install_failed")

    assert error(world.device.post("/deploymentBase/1/feedback", GOOD)) == (410, None)


def test_feedback_while_it_waits_to_be_confirmed_is_404(db, server_clock):
    world = make_world(consent="ask")

    assert error(world.device.post("/deploymentBase/1/feedback", GOOD)) == (404, None)
    assert error(world.device.get("/deploymentBase/1")) == (404, None)
    assert Report.objects.count() == 0


def test_feedback_to_a_cancellation_that_is_none_is_405_with_a_body(world):
    answer = world.device.post("/cancelAction/1/feedback", GOOD)

    assert error(answer) == (405, "hawkbit.server.error.action.notCancelable")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        {},
        {"status": None},
        {"status": {"execution": "proceeding"}},
        {"status": {"execution": "proceeding", "result": {}}},
        {"status": {"result": {"finished": "none"}}},
        {"status": {"execution": "PROCEEDING", "result": {"finished": "none"}}},
        {"status": {"execution": "proceeding", "result": {"finished": "perhaps"}}},
        {"status": {"execution": "proceeding", "result": {"finished": "none"}, "details": [1]}},
        {"status": {"execution": "proceeding", "result": {"finished": "none"}, "details": ["\ud800"]}},
        b'{"status":{"execution":"proceeding","result":{"finished":"none"}},"x":1e999}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_cannot_be_read_is_400(world, body):
    assert error(world.device.post("/deploymentBase/1/feedback", body)) == (400, NOT_READABLE)
    assert Report.objects.count() == 0


def test_empty_data_is_400(world):
    assert error(world.device.put("/configData", {"data": {}})) == (400, NOT_READABLE)
    assert error(world.device.put("/configData", {"mode": "merge"})) == (400, NOT_READABLE)
    assert error(world.device.put("/configData", {"mode": "swap", "data": {"a": "b"}})) == (400, NOT_READABLE)


@pytest.mark.parametrize("data", [{"": "x"}, {"a" * 129: "x"}, {"a": "x" * 129}, {"ü": "x"}, {"a": "€"}, {"a`": "x"}])
def test_an_attribute_out_of_its_form_is_400(world, data):
    assert error(world.device.put("/configData", {"data": {"good": "1"} | data})) == (400, BAD_ATTRIBUTES)
    assert not world.vehicle.reported_attributes.exists()


def test_a_quota_that_is_used_up_is_429(world, monkeypatch):
    monkeypatch.setattr(reports, "MAX_REPORTS", 1)
    assert world.device.say("proceeding", details=["a"]) == 200

    assert error(world.device.post("/deploymentBase/1/feedback", GOOD)) == (429, QUOTA)
    many = {"data": {f"a{n}": "1" for n in range(101)}}
    assert error(world.device.put("/configData", many)) == (429, QUOTA)
    status = GOOD["status"] | {"details": ["x"] * 51}
    assert error(world.device.post("/deploymentBase/1/feedback", {"status": status})) == (429, QUOTA)
    status = GOOD["status"] | {"details": ["x" * 512 * 51]}
    assert error(world.device.post("/deploymentBase/1/feedback", {"status": status})) == (429, QUOTA)
    assert world.device.say("closed", "success") == 200


def test_auto_confirm_that_is_active_is_409(world):
    assert error(world.device.post("/confirmationBase/activateAutoConfirm", b"")) == (200, None)

    answer = world.device.post("/confirmationBase/activateAutoConfirm", b"")

    assert error(answer) == (409, "hawkbit.server.error.repo.autoConfAlreadyActive")


def test_an_artifact_of_no_assigned_set_is_404(world):
    assert error(world.device.get("/softwaremodules/999/artifacts/board.swu")) == (404, None)


def test_conditions_ranges_and_deleted_files_have_their_codes(world):
    assert error(world.device.get(world.artifact, If_Match='"x"')) == (412, None)
    assert error(world.device.get(world.artifact, Range="bytes=999999999-")) == (416, None)


def test_a_wrong_method_is_405_and_says_which_are_right(world):
    answer = world.device.post("", {})

    assert error(answer) == (405, None)
    assert answer["Allow"] == "GET, HEAD"


def test_another_media_type_is_415_or_406(world):
    answer = world.device.post("/deploymentBase/1/feedback", b"<x/>", content_type="application/xml")
    assert error(answer) == (415, None)
    assert error(world.device.get(Accept="application/xml")) == (406, None)
    utf8 = world.device.post("/deploymentBase/1/feedback", GOOD, content_type="application/json;charset=UTF-8")
    assert error(utf8) == (200, None)


@pytest.mark.parametrize("controller", ["x" * 257, "x" * 65, "with space", "-x", "ümlaut"])
def test_an_id_that_no_vehicle_can_have_is_400(world, controller):
    fleet.create_gateway_token(world.tenant, name="line", token=GATEWAY, by="alice", at=NOON)

    answer = Device(world.tenant, controller, f"GatewayToken {GATEWAY}").get()

    assert error(answer) == (400, "hawkbit.server.error.repo.constraintViolation")
    assert Vehicle.objects.count() == 1


def test_what_is_no_address_of_ddi_is_404_in_its_form(world):
    assert error(world.device.get("/nothing/here")) == (404, None)
    # As a client posts it: one that checks for forged forms would answer with a page.
    world.device.client.handler.enforce_csrf_checks = True
    for path in ("/nothing/here", "/deploymentBase/0/feedback", "/deploymentBase/-1/feedback"):
        assert error(world.device.post(path, GOOD)) == (404, None)


def test_a_vehicle_that_was_decommissioned_is_404_also_for_a_gateway(world):
    fleet.create_gateway_token(world.tenant, name="line", token=GATEWAY, by="alice", at=NOON)
    operations.decommission_vehicle(Vehicle.objects.get(), reason="Scrapped.", by="alice", at=NOON)
    device = Device(world.tenant, authorization=f"GatewayToken {GATEWAY}")

    assert error(device.get()) == error(device.get("/confirmationBase")) == (404, None)
    assert error(device.put("/configData", {"data": {"a": "b"}})) == (404, None)

    assert Vehicle.objects.get().enrolled_at is None


def test_a_body_of_a_gigabyte_is_refused_unread(world):
    answer = world.device.client.post(
        world.device.address("/deploymentBase/1/feedback"),
        b"x",
        content_type="application/json",
        headers={"Authorization": world.device.authorization, "Content-Length": str(2**30)},
    )

    assert (answer.status_code, answer.content) == (413, b"")


def test_what_fails_inside_is_no_page_of_html(world, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("boom")

    monkeypatch.setattr("otaserver.vehicle_api.ddi.polling.fleet.record_contact", fail)

    assert error(world.device.get()) == (500, None)
