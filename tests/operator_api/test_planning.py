"""Planning over the API: sizes of waves, a suggested plan, block lists, one vehicle now."""

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns.models import Campaign
from otaserver.fleet.models import Group, Vehicle
from tests.campaigns.campaign_factories import make_fleet, make_versions
from tests.factories import make_group


@pytest.fixture
def plan(tenant):
    """What a campaign over ten vehicles needs, by id."""
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    cars = make_fleet(tenant, 10, old)
    group, staff = make_group(tenant, *cars), make_group(tenant, *cars[:2], name="staff")
    return {
        "campaign": {"name": "a", "release": new.pk, "fallback_release": old.pk, "group": group.pk},
        "staff": staff.pk,
        "car": str(cars[0]),
    }


def test_waves_may_be_a_group_a_number_or_a_percent(caller, plan):
    waves = [{"group": plan["staff"], "max_failed": 1}, {"count": 2}, {"percent": "50"}, {"percent": 100}]

    made = caller.post(
        "/campaigns",
        plan["campaign"]
        | {"waves": waves, "control_percent": "5", "is_dynamic": True, "max_inventory_age_seconds": 3600},
    ).json()

    sizes = [(wave["percent"], wave["count"], wave["group"]) for wave in made["waves"]]
    assert sizes == [
        (None, None, {"id": plan["staff"], "name": "staff"}),
        (None, 2, None),
        ("50.000", None, None),
        ("100.000", None, None),
    ]
    assert (made["control_percent"], made["is_dynamic"], made["max_inventory_age_seconds"]) == ("5.000", True, 3600)


@pytest.mark.parametrize("wave", [{}, {"percent": 5, "count": 2}])
def test_a_wave_of_no_or_two_sizes_is_refused(caller, plan, wave):
    answer = caller.post("/campaigns", plan["campaign"] | {"waves": [wave, {"percent": 100}]})

    assert (answer.status_code, answer.json()["code"]) == (422, "campaign.plan_refused")
    assert not Campaign.objects.exists()


def test_a_plan_is_suggested_with_its_reasons(caller, plan):
    wanted = {key: plan["campaign"][key] for key in ("release", "group")}

    found = caller.post("/campaigns/suggest", wanted | {"failure_budget": 2}).json()

    assert (found["fitting"], found["failure_budget"]) == (10, 2)
    assert [wave["count"] for wave in found["waves"]] == [2, 3, 4, None]
    assert found["waves"][-1] == {"percent": "100.000", "count": None}
    assert found["reasons"][0].startswith("The first wave is 2 vehicles")
    refused = caller.post("/campaigns/suggest", wanted | {"failure_budget": 0})
    assert (refused.status_code, refused.json()["code"]) == (422, "campaign.plan_refused")
    assert not Campaign.objects.exists()


def test_a_group_is_made_a_block_list_and_is_none_again(caller, plan):
    path = f"/groups/{plan['staff']}/block-list"

    made = caller.post(path, {"reason": "Lent to the press."}).json()
    lifted = caller.post(f"{path}/lift", {"reason": "Back."}).json()

    assert (made["blocks_updates_reason"], lifted["blocks_updates_reason"]) == ("Lent to the press.", "")
    assert caller.post(f"{path}/lift", {"reason": "Again."}).status_code == 409
    assert Group.objects.get(pk=plan["staff"]).blocks_updates_reason == ""


def test_a_car_on_a_bench_is_ordered_a_release(caller, plan):
    order = {"release": plan["campaign"]["release"], "reason": "Brake test."}
    early = caller.post(f"/vehicles/{plan['car']}/order", order)

    marked = caller.post(f"/vehicles/{plan['car']}/test-bench", {"reason": "Hall 3."}).json()
    ordered = caller.post(f"/vehicles/{plan['car']}/order", order)

    assert (early.status_code, early.json()["code"]) == (422, "vehicle.not_test_bench")
    assert marked["is_test_bench"] is True
    assert (ordered.status_code, ordered.json()["kind"], ordered.json()["counts"]) == (201, "direct", {"offered": 1})
    assert caller.post(f"/vehicles/{plan['car']}/order", order).json()["code"] == "vehicle.busy"
    assert Vehicle.objects.filter(is_test_bench=True).count() == 1
    assert Entry.objects.filter(action="campaign.ordered_now").count() == 1
