from decimal import Decimal

import pytest

from otaserver.campaigns.models import Campaign
from tests.campaigns.campaign_factories import SOAK, in_turn, make_fleet, make_started, make_versions, succeed, tick
from tests.campaigns.health_factories import add_signals, say
from tests.factories import NOON, make_group


def plan_body(tenant, **changes):
    old = make_versions(tenant)
    group = make_group(tenant, *make_fleet(tenant, 1, old))
    new = make_versions(tenant, "2.0")
    waves = [{"percent": "100"}]
    return {
        "name": "spring",
        "release": new.pk,
        "group": group.pk,
        "waves": waves,
        "fallback_release": old.pk,
    } | changes


def test_a_control_share_is_planned_and_shown(tenant, caller):
    made = caller.post("/campaigns", plan_body(tenant, control_percent="12.5"))

    assert (made.status_code, made.json()["control_percent"]) == (201, "12.500")
    assert (made.json()["signals"], made.json()["gate"]) == ([], [])


@pytest.mark.parametrize("percent", ["50.001", "-1", "many"])
def test_a_control_share_out_of_range_is_refused(tenant, caller, percent):
    response = caller.post("/campaigns", plan_body(tenant, control_percent=percent))

    assert (response.status_code, "control_percent" in response.json()["fields"]) == (422, True)
    assert not Campaign.objects.exists()


def test_a_campaign_shows_its_signals_with_evidence_and_comparison(tenant, caller):
    release = add_signals(make_versions(tenant, "2.0"), boots=3)
    campaign = make_started(vehicles=4, tenant=tenant, release=release, control_percent=Decimal(50))
    tick(campaign)
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
        say(assignment, boots=9)
    for assignment in in_turn(campaign, "excluded"):
        say(assignment, boots=1)
    tick(campaign, NOON + SOAK)

    (boots,) = caller.get(f"/campaigns/{campaign.pk}").json()["signals"]

    assert (boots["name"], boots["signal_limit"], boots["good"], boots["bad"], boots["missing"]) == (
        "boots",
        3,
        0,
        2,
        0,
    )
    assert 0 < boots["statistic"] < boots["limit"]
    compared = boots["comparison"]
    assert [compared[key] for key in ("treated", "treated_bad", "control", "control_bad")] == [2, 2, 2, 0]
    assert 0 < compared["log_evidence"] < compared["limit"]
    assert (boots["verdict"], compared["verdict"]) == ("undecided", "undecided")
