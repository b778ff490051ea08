"""What went wrong and who sees to it, as the operator API shows it."""

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns.models import Campaign, SoftwareChange, WorkshopCase
from otaserver.campaigns.rules import failures
from tests.factories import NOON, make_group, make_package, make_release, make_vehicle


@pytest.fixture
def case(tenant):
    vehicle = make_vehicle(tenant, "VIN1")
    return WorkshopCase.objects.create(vehicle=vehicle, code="silent", reason="Nothing was heard.", opened_at=NOON)


def test_the_failure_catalogue_is_read_by_programs(caller):
    found = caller.get("/failure-codes").json()

    assert [row["code"] for row in found] == list(failures.CATALOGUE)
    assert next(row for row in found if row["code"] == "silent") == {
        "code": "silent",
        "category": "network",
        "origin": "server",
        "meaning": failures.CATALOGUE["silent"].meaning,
        "advice": "Find the vehicle.",
        "is_retried": False,
        "counts": "failure",
        "needs_hands": True,
    }


def test_a_case_is_closed_once_and_with_a_note(caller, case):
    path = f"/workshop-cases/{case.pk}/close"
    assert caller.post(path, {}).status_code == 422

    closed = caller.post(path, {"note": "Gateway replaced."})
    again = caller.post(path, {"note": "Twice."})

    assert (closed.status_code, closed.json()["note"]) == (200, "Gateway replaced.")
    assert (again.status_code, again.json()["code"]) == (409, "workshop_case.closed")
    assert WorkshopCase.objects.get().note == "Gateway replaced."
    assert Entry.objects.filter(action="workshop_case.closed").count() == 1


def test_cases_are_narrowed_by_whether_they_are_open_and_by_vehicle(caller, case, tenant):
    WorkshopCase.objects.create(
        vehicle=make_vehicle(tenant, "VIN2"),
        code="silent",
        reason="Silent.",
        opened_at=NOON,
        closed_at=NOON,
        closed_by="carol",
    )

    def seen(query):
        return [row["vehicle"] for row in caller.get(f"/workshop-cases{query}").json()["results"]]

    assert seen("?open=true") == seen("?vehicle=VIN1") == ["VIN1"]
    assert seen("?open=false") == ["VIN2"]
    assert seen("") == ["VIN2", "VIN1"]
    assert seen("?vehicle=VIN1%00") == []


def test_foreign_software_is_listed_by_what_was_done_about_it(caller, tenant):
    vehicle = make_vehicle(tenant, "VIN1")
    for cause, policy in (("first", ""), ("foreign", "flag"), ("foreign", "adopt")):
        SoftwareChange.objects.create(
            vehicle=vehicle, ecu_serial="a", to_target="r/x-1", to_sha256="c", at=NOON, cause=cause, policy=policy
        )

    (flagged,) = caller.get("/software-changes?policy=flag").json()["results"]

    assert (flagged["vehicle"], flagged["cause"], flagged["to_target"]) == ("VIN1", "foreign", "r/x-1")
    assert len(caller.get("/software-changes?vehicle=VIN1").json()["results"]) == 3


def plan(tenant, **fields):
    release = make_release(tenant, make_package(tenant, f"p{Campaign.objects.count()}"))
    return {
        "name": f"c{Campaign.objects.count()}",
        "release": release.pk,
        "group": make_group(tenant).pk,
        "waves": [{"percent": 100}],
        "no_way_back_reason": "A test.",
    } | fields


def test_a_plans_place_among_others_goes_in_and_comes_out(caller, tenant):
    first = caller.post("/campaigns", plan(tenant)).json()
    assert (first["priority"], first["requires"], first["halt_action"]) == ("quality", [], "withdraw")

    made = caller.post(
        "/campaigns", plan(tenant, priority="safety_recall", requires=[first["id"]], foreign_software="adopt")
    )

    assert made.status_code == 201, made.content
    shown = caller.get(f"/campaigns/{made.json()['id']}").json()
    assert (shown["priority"], shown["requires"], shown["foreign_software"]) == (
        "safety_recall",
        [first["id"]],
        "adopt",
    )


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"priority": "urgent"}, 422),
        ({"priority": 1}, 422),
        ({"requires": [999]}, 404),
        ({"halt_action": "roll_back"}, 422),
        ({"foreign_software": "burn"}, 422),
    ],
)
def test_a_plan_that_cannot_be_is_refused_and_not_stored(caller, tenant, fields, status):
    response = caller.post("/campaigns", plan(tenant, **fields))

    assert response.status_code == status, response.content
    assert not Campaign.objects.exists()


def test_a_tenant_says_what_is_done_about_foreign_software(caller, tenant):
    assert caller.get("/tenant").json()["foreign_software"] == "flag"
    assert caller("PATCH", "/tenant", {"foreign_software": "burn"}).status_code == 422

    assert caller("PATCH", "/tenant", {"foreign_software": "redrive"}).json()["foreign_software"] == "redrive"


def test_a_release_names_its_stepping_stone(caller, tenant):
    package = make_package(tenant)
    stone = make_release(tenant, package)
    body = {"name": "a", "version": "2", "packages": [{"package": package.pk}], "stepping_stone": stone.pk}

    made = caller.post("/releases", body)

    assert (made.status_code, made.json()["stepping_stone"]) == (201, stone.pk)


def test_a_chain_of_stepping_stones_is_bounded(caller, tenant):
    package = make_package(tenant)
    last = None
    for number in range(9):
        body = {"name": "a", "version": f"{number}", "packages": [{"package": package.pk}], "stepping_stone": last}
        last = caller.post("/releases", body).json()["id"]

    refused = caller.post("/releases", body | {"version": "9", "stepping_stone": last})

    assert (refused.status_code, refused.json()["code"]) == (422, "release.refused")
    assert "at most 8" in refused.json()["detail"]
