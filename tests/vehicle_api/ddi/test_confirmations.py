from datetime import timedelta

import pytest

from otaserver.campaigns.models import ConsentRecord
from tests.vehicle_api.ddi.conftest import make_world

pytestmark = pytest.mark.any_database

BASE = "http://testserver/acme/controller/v1/dev1/confirmationBase"


@pytest.fixture
def world(db, server_clock):
    return make_world(consent="ask")


def answer_it(world, confirmation, number=1):
    return world.device.post(f"/confirmationBase/{number}/feedback", {"confirmation": confirmation}).status_code


def decisions():
    return list(ConsentRecord.objects.order_by("pk").values_list("decision", "by"))


def test_an_order_that_needs_consent_waits_to_be_confirmed(world):
    assert set(world.device.links()) == {"confirmationBase", "configData"}
    found = world.device.get("/confirmationBase/1").json()
    assert (found["id"], set(found)) == ("1", {"id", "confirmation"})
    assert found["confirmation"]["update"] == "attempt"
    assert len(found["confirmation"]["chunks"]) == 1

    assert answer_it(world, "confirmed") == 200

    assert "deploymentBase" in world.device.links()
    assert world.device.get("/confirmationBase/1").status_code == 404
    assert decisions() == [("yes", "vehicle")]


def test_one_that_is_denied_waits_on_and_one_that_was_confirmed_can_be_denied_again(world, server_clock):
    assert answer_it(world, "denied") == 200
    assert "confirmationBase" in world.device.links()
    server_clock.advance(seconds=1)
    assert answer_it(world, "confirmed") == 200
    assert answer_it(world, "confirmed") == 404
    server_clock.advance(seconds=1)
    assert answer_it(world, "denied") == 200

    assert "confirmationBase" in world.device.links()
    assert [decision for decision, _ in decisions()] == ["no", "yes", "no"]


def test_what_is_installed_can_no_longer_be_denied(world):
    answer_it(world, "confirmed")
    world.device.say("proceeding", progress={"cnt": 1, "of": 1})

    assert answer_it(world, "denied") == 404
    world.device.say("closed", "success")
    assert answer_it(world, "denied") == 410


@pytest.mark.parametrize("body", [{}, {"confirmation": "maybe"}, {"confirmation": "CONFIRMED"}, b"{"])
def test_what_is_no_answer_is_refused(world, body):
    assert world.device.post("/confirmationBase/1/feedback", body).status_code == 400
    assert decisions() == []


def test_standing_consent_confirms_what_waits_and_what_comes(world):
    said = {"initiator": "u", "remark": "r"}
    overview = world.device.get("/confirmationBase").json()
    assert overview["autoConfirm"] == {"active": False, "activatedAt": 0}
    assert overview["_links"]["activateAutoConfirm"] == {"href": f"{BASE}/activateAutoConfirm"}
    assert overview["_links"]["confirmationBase"]["href"].startswith(f"{BASE}/1?c=")

    assert world.device.post("/confirmationBase/activateAutoConfirm", said).status_code == 200

    assert "deploymentBase" in world.device.links()
    assert decisions() == [("yes", "u")]
    assert world.device.get("/confirmationBase").json() == {
        "autoConfirm": {"active": True, "initiator": "u", "remark": "r", "activatedAt": 1780315200000},
        "_links": {"deactivateAutoConfirm": {"href": f"{BASE}/deactivateAutoConfirm"}},
    }


def test_taken_back_the_next_order_is_asked_for(world):
    for name in ("activateAutoConfirm", "deactivateAutoConfirm", "deactivateAutoConfirm"):
        assert world.device.post(f"/confirmationBase/{name}", b"").status_code == 200

    assert world.device.get("/confirmationBase").json()["autoConfirm"]["active"] is False


def test_a_standing_consent_that_is_out_of_its_form_is_refused(world):
    assert world.device.post("/confirmationBase/activateAutoConfirm", {"remark": "x" * 256}).status_code == 400
    assert world.device.get("/confirmationBase").json()["autoConfirm"]["active"] is False


@pytest.mark.django_db
def test_a_vehicle_that_was_parked_past_the_deadline_is_asked_and_each_question_says_until_when(server_clock):
    world = make_world(consent="ask_with_deadline", consent_deadline_seconds=3600)
    server_clock.advance(days=8)

    assert "confirmationBase" in world.device.links()
    server_clock.advance(minutes=59)
    assert "confirmationBase" in world.device.links()

    [chunk] = world.device.get("/confirmationBase/1").json()["confirmation"]["chunks"]
    until = (server_clock.now + timedelta(minutes=1)).isoformat()
    assert chunk["metadata"] == [{"key": "consent_deadline", "value": until}]
    server_clock.advance(minutes=1)
    assert "deploymentBase" in world.device.links()
    assert "metadata" not in world.device.get("/deploymentBase/1").json()["deployment"]["chunks"][0]
