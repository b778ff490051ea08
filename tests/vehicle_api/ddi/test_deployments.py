import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.models import Report
from otaserver.campaigns.queries import explain
from otaserver.campaigns.rules.windows import Window
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Ecu, Vehicle
from tests.campaigns.campaign_factories import attempt_of
from tests.factories import NOON
from tests.vehicle_api.ddi.conftest import RAUC, make_world

pytestmark = pytest.mark.any_database

PATH = "/deploymentBase/1"


def test_an_order_is_a_deployment_with_a_chunk_for_each_package(world):
    answer = world.device.get(PATH + "?c=-1")

    base = "http://testserver/acme/controller/v1/dev1" + world.artifact
    assert answer.json() == {
        "id": "1",
        "deployment": {
            "download": "forced",
            "update": "forced",
            "chunks": [
                {
                    "part": "os",
                    "version": "2.0",
                    "name": "board",
                    "artifacts": [
                        {
                            "filename": "board.swu",
                            "hashes": {
                                "sha1": world.package.sha1,
                                "md5": world.package.md5,
                                "sha256": world.package.sha256,
                            },
                            "size": world.package.length,
                            "_links": {
                                "download-http": {"href": base},
                                "md5sum-http": {"href": base + ".MD5SUM"},
                            },
                        }
                    ],
                }
            ],
        },
    }
    assert (world.state, Report.objects.count()) == ("offered", 0)


@pytest.mark.parametrize("client", [RAUC, ""])
def test_several_packages_are_taken_back_from_a_client_that_says_too_late_that_it_takes_one(db, server_clock, client):
    world = make_world(hardware=("linux", "mcu"))
    world.device.headers["User-Agent"] = client
    assert world.state == "offered"

    assert set(world.device.links()) == {"configData"}
    assert (world.state, world.device.get(PATH).status_code) == ("waiting", 404)
    world.tick()

    assert (world.state, world.assignment.code) == ("superseded", "not_deliverable")
    assert explain(world.assignment) == (
        "The vehicle could take no part when its turn came (not_deliverable: The release has 2 packages for the "
        "vehicle, and its client takes one package at once). It counts neither way."
    )


def test_a_part_is_what_the_tenant_calls_the_hardware(db, server_clock):
    world = make_world(hardware=("linux", "mcu"))
    fleet.change_ddi_settings(world.tenant, {"chunk_parts": {"mcu": "bApp"}}, by="alice", at=NOON)

    chunks = world.device.get(PATH).json()["deployment"]["chunks"]

    assert [(chunk["part"], chunk["name"]) for chunk in chunks] == [("os", "linux"), ("bApp", "mcu")]


@pytest.mark.parametrize(
    ("plan", "hours", "client", "said"),
    [
        ({}, 0, "", ("forced", "forced", None)),
        ({"consent": "ask"}, 0, "", ("attempt", "attempt", None)),
        ({"consent": "ask_with_deadline", "consent_deadline_seconds": 3600}, 0, "", ("attempt", "attempt", None)),
        ({"consent": "ask_with_deadline", "consent_deadline_seconds": 3600}, 2, "", ("forced", "forced", None)),
        ({"windows": [Window(127, 720, 60)]}, 0, "", ("forced", "forced", "available")),
        ({"windows": [Window(127, 1080, 60)]}, 0, RAUC, ("forced", "skip", "unavailable")),
        ({"windows": [Window(127, 1080, 60)]}, 6, RAUC, ("forced", "forced", "available")),
    ],
)
@pytest.mark.django_db
def test_mode_and_window_follow_from_the_campaign(server_clock, plan, hours, client, said):
    world = make_world(client, **plan)
    world.device.links()
    if "consent" in plan and not hours:
        operations.confirm_order(world.vehicle, attempt=1, is_agreed=True, by="owner", at=NOON)
    server_clock.advance(hours=hours)

    found = world.device.get(PATH).json()["deployment"]

    assert (found["download"], found["update"], found.get("maintenanceWindow")) == said


@pytest.mark.parametrize(
    ("execution", "finished", "state"),
    [
        ("closed", "success", "soaking"),
        ("closed", "failure", "failed"),
        ("closed", "none", "failed"),
        ("canceled", "none", "refused"),
        ("rejected", "none", "held"),
        ("scheduled", "none", "held"),
        ("download", "none", "downloading"),
        ("downloaded", "success", "downloaded"),
        ("proceeding", "none", "downloading"),
        ("resumed", "none", "downloading"),
    ],
)
def test_each_execution_does_what_it_says(world, execution, finished, state):
    assert world.device.say(execution, finished) == 200

    assert (world.state, Report.objects.count()) == (state, 1)


def test_a_success_is_written_down_as_the_vehicles_word(world):
    world.device.say("closed", "success")

    ecu = Ecu.objects.get()
    assert (ecu.installed_target, ecu.is_asserted) == (world.package.target_name, True)
    assert "installedBase" in world.device.links()
    assert "configData" in world.device.links()
    assert "deploymentBase" not in world.device.links()
    assert world.device.get("/installedBase/1").json()["id"] == "1"


def test_a_skipped_update_is_no_success_and_is_offered_again(world):
    assert world.device.say("closed", "success", details=["Skipped Update."]) == 200

    assert world.state == "offered"
    assert Ecu.objects.get().installed_target == ""
    assert "deploymentBase" in world.device.links()


def test_progress_and_messages_are_kept(world):
    world.device.say("proceeding", details=["a", "b"], progress={"cnt": 1, "of": 3}, code=200)

    report = Report.objects.get()
    assert (report.progress, report.measured) == (33, {"steps_done": 1, "steps": 3})
    assert report.message == "a\nb\nDevice reported status code: 200"
    assert world.state == "installing"


@pytest.mark.parametrize(
    ("progress", "kept"),
    [({"cnt": 0, "of": 1}, 0), ({"cnt": 9, "of": 2}, 100), ({}, None), ({"cnt": 1, "of": 0}, None), (None, None)],
)
def test_odd_progress_is_taken(world, progress, kept):
    assert world.device.say("proceeding", progress=progress) == 200

    assert Report.objects.get().progress == kept


def test_the_history_is_what_the_vehicle_said_newest_first(world):
    world.device.say("proceeding", details=["one", "two"])
    world.device.say("proceeding", details=["three"])

    def history(query):
        return world.device.get(PATH + query).json().get("actionHistory")

    assert history("") is None
    assert history("?actionHistory=2") == {"status": "DOWNLOAD", "messages": ["three", "two"]}
    assert history("?actionHistory=-1")["messages"] == ["three", "two", "one"]
    assert history("?actionHistory=500")["messages"] == ["three", "two", "one"]


def test_what_the_server_noted_itself_is_not_in_the_history(world):
    world.device.fetch(world.artifact)

    assert "actionHistory" not in world.device.get(PATH + "?actionHistory=9").json()


def test_the_same_feedback_twice_is_one_report(world):
    body = {"status": {"execution": "proceeding", "result": {"finished": "none"}}, "time": "20261122T195531"}

    assert [world.device.post(PATH + "/feedback", body).status_code for _ in range(2)] == [200, 200]

    assert Report.objects.count() == 1
    assert Report.objects.get().device_time.isoformat() == "2026-11-22T19:55:31+00:00"


def test_after_the_end_feedback_is_gone_and_changes_nothing(world):
    world.device.say("closed", "failure", details=["ERROR"])

    assert world.device.say("closed", "success") == 410
    assert world.device.say("proceeding") == 410
    assert (world.state, Report.objects.count()) == ("failed", 1)


def test_a_vehicle_that_the_server_gave_up_on_is_still_heard(world):
    operations.lapse_due(NOON.replace(month=7))
    assert world.state == "lapsed"

    assert world.device.say("closed", "success") == 200
    assert world.state == "soaking"


def test_an_order_that_ended_can_be_read_and_reading_changes_nothing(world):
    world.device.say("closed", "failure")
    before = attempt_of(world.assignment).outcome

    assert world.device.get(PATH).status_code == 200
    assert (attempt_of(world.assignment).outcome, before) == ("failure", "failure")


def test_where_the_version_is_read_the_word_alone_moves_nothing(world):
    fleet.change_ddi_settings(world.tenant, {"version_attribute": "sw"}, by="alice", at=NOON)

    assert world.device.say("closed", "success") == 200
    assert (world.state, "configData" in world.device.links()) == ("installing", True)
    world.device.put("/configData", {"data": {"sw": "1.0"}})
    assert world.state == "installing"
    world.device.put("/configData", {"data": {"sw": "2.0"}})

    assert (world.state, Ecu.objects.get().installed_version) == ("soaking", "2.0")


def test_the_version_may_come_before_the_word(world):
    fleet.change_ddi_settings(world.tenant, {"version_attribute": "sw"}, by="alice", at=NOON)

    world.device.put("/configData", {"data": {"sw": "2.0"}})
    assert world.device.say("closed", "success") == 200

    assert world.state == "soaking"
    assert world.device.say("closed", "success") == 410


def test_another_version_in_the_soak_is_a_failure(world):
    fleet.change_ddi_settings(world.tenant, {"version_attribute": "sw"}, by="alice", at=NOON)
    world.device.put("/configData", {"data": {"sw": "2.0"}})

    world.device.put("/configData", {"data": {"sw": "1.0"}})

    assert (world.state, world.assignment.code) == ("failed", "reverted")
    assert Ecu.objects.get().installed_version == "1.0"


def test_an_installed_release_can_be_declared(world):
    said = {"name": "car", "version": "1.0"}

    assert world.device.put("/installedBase", said).status_code == 201
    assert world.device.put("/installedBase", said).status_code == 200
    assert world.device.put("/installedBase", {"name": "car", "version": "7"}).status_code == 404
    assert Ecu.objects.get().installed_version == "1.0"


def test_a_withdrawal_is_acknowledged(world):
    operations.stop_campaign(world.campaign, reason="smoke", by="alice", at=NOON)
    answer = world.device.get("/cancelAction/1")
    assert answer.content == b'{"id":"1","cancelAction":{"stopId":"1"}}'
    assert world.device.say("proceeding") == 200

    assert world.device.say("closed", "success", resource="cancelAction") == 200

    assert world.state == "withdrawn"
    assert "cancelAction" not in world.device.links()
    assert world.device.say("closed", "success", resource="cancelAction") == 410


@pytest.mark.parametrize(("execution", "finished"), [("rejected", "success"), ("closed", "failure")])
def test_a_vehicle_that_cannot_stop_goes_on(world, execution, finished):
    operations.stop_campaign(world.campaign, reason="smoke", by="alice", at=NOON)

    assert world.device.say(execution, finished, resource="cancelAction") == 200

    assert world.state == "installing"
    assert set(world.device.links()) == {"deploymentBase", "configData"}
    assert world.device.say("closed", "success") == 200
    assert world.state == "soaking"


@pytest.mark.parametrize("execution", ["canceled", "proceeding", "scheduled"])
def test_anything_else_said_of_a_withdrawal_is_only_kept(world, execution):
    operations.stop_campaign(world.campaign, reason="smoke", by="alice", at=NOON)

    assert world.device.say(execution, resource="cancelAction") == 200

    assert (world.state, Report.objects.count()) == ("withdrawing", 1)


def test_a_vehicle_may_finish_what_is_being_withdrawn(world):
    operations.stop_campaign(world.campaign, reason="smoke", by="alice", at=NOON)

    assert world.device.say("closed", "success") == 200
    assert world.state == "soaking"


def test_a_failure_of_what_is_being_withdrawn_counts_neither_way(world):
    operations.stop_campaign(world.campaign, reason="smoke", by="alice", at=NOON)
    assert world.device.get(world.artifact).status_code == 404

    assert world.device.say("closed", "failure", details=["ERROR : HTTP error code 404"]) == 200

    assert (world.state, Report.objects.get().code) == ("withdrawn", "download_failed")


def test_a_blocked_vehicle_is_told_to_stop_and_may_take_part_again(world):
    fleet.block_vehicle(world.vehicle, reason="stolen", by="alice", at=NOON)
    assert "cancelAction" in world.device.links()

    assert world.device.say("closed", "success", resource="cancelAction") == 200

    assert world.state == "refused"
    assert Vehicle.objects.get(pk=world.vehicle.pk).blocked_at == NOON
