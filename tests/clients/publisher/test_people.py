"""Four eyes, changes, replays and explanations from the command line."""

import json

import pytest

from clients.publisher.errors import DecisionsDifferError, ServerRefusalError
from otaserver.audit.models import Entry
from otaserver.campaigns.models import Campaign, Decision
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import fail, in_turn, make_campaign, make_running, tick
from tests.factories import make_vehicle

pytestmark = pytest.mark.any_database


@pytest.fixture
def campaign(bench):
    return make_campaign(vehicles=1, tenant=bench.tenant)


def test_a_draft_is_edited_by_command_and_says_its_revision(campaign, command):
    code, out, _ = command(
        *("campaign", "edit", "spring", "--set", "max_in_flight=5", "--wave", "10", "--wave", "100:2"),
        *("--release", "car", "2.0", "--group", campaign.group.name, "--fallback", "car", "1.0"),
    )

    assert (code, out) == (0, "Campaign spring has revision 2.\n")
    campaign.refresh_from_db()
    assert campaign.max_in_flight == 5
    assert [(str(wave.percent), wave.max_failed) for wave in campaign.waves.all()] == [("10.000", 0), ("100.000", 2)]


def test_an_edit_of_a_revision_that_is_no_longer_is_refused(campaign, command):
    code, _, err = command("campaign", "edit", "spring", "--set", "max_in_flight=5", "--revision", "7")

    assert (code, err.partition(":")[0]) == (3, "precondition.failed")
    assert Campaign.objects.get().max_in_flight is None


def test_a_live_change_without_a_reason_is_refused(bench, command):
    make_running(vehicles=1, tenant=bench.tenant)

    refused = command("campaign", "edit", "spring", "--set", "max_in_flight=5")
    taken = command("campaign", "edit", "spring", "--set", "max_in_flight=5", "--reason", "Slower.")

    assert (refused[0], refused[2].partition(":")[0], taken[0]) == (3, "campaign.reason_missing", 0)
    assert Decision.objects.get(kind="campaign.changed").sentence == "Slower."


def test_who_has_approved_and_who_is_missing_is_shown(bench, campaign, command):
    Tenant.objects.update(required_approvals=2)
    command("campaign", "submit", "spring")
    first = command("campaign", "approve", "spring", "--revision", "2")

    shown = command("campaign", "approvals", "spring")
    as_json = json.loads(command("campaign", "approvals", "spring", "--json")[1])

    assert first[1] == "Campaign spring is in_review.\n"
    assert "token:ci" in shown[1]
    assert "1 missing; authors: alice." in shown[1]
    assert (as_json["needed"], as_json["missing"]) == (2, 1)


def test_lowering_the_number_of_approvals_needs_a_reason(bench, command):
    raised = command("tenant", "approvals", "2", "--rollbacks")
    refused = command("tenant", "approvals", "1")
    lowered = command("tenant", "approvals", "1", "--reason", "Bob has left.", "--json")

    assert raised[1] == "Campaigns of acme need 2 approval(s).\n"
    assert (refused[0], refused[2].partition(":")[0]) == (3, "tenant.reason_missing")
    assert json.loads(lowered[1])["required_approvals"] == 1
    assert Entry.objects.order_by("-number")[0].details["reason"] == "Bob has left."
    assert "rollbacks_need_approval" in command("tenant", "show")[1]


def test_a_replay_ends_with_0_if_all_follows_and_with_7_if_not(bench, command):
    campaign = make_running(vehicles=2, max_failed=0, tenant=bench.tenant)
    fail(in_turn(campaign)[0])
    tick(campaign)

    follows = command("campaign", "replay", "spring")
    decision = Decision.objects.get(kind="limit.halted")
    Decision.objects.filter(pk=decision.pk).update(inputs=decision.inputs | {"failures": {}})
    differs = command("campaign", "replay", "spring", "--json")

    assert (follows[0], follows[1]) == (0, "All 3 records of spring follow.\n")
    assert differs[0] == 7
    error = json.loads(differs[1])["error"]
    assert error["code"] == "campaign.decisions_differ"
    assert [each["kind"] for each in error["differences"]] == ["limit.halted"]
    with pytest.raises(DecisionsDifferError, match="1 of 3 records of campaign 'spring' do not follow"):
        bench.publisher().campaigns.replay("spring")


def test_a_filter_is_tried_before_there_is_a_group(bench, command):
    make_vehicle(bench.tenant, "Va")
    make_vehicle(bench.tenant, "Vb")

    found = command("group", "preview", "--filter", 'vehicle_id = "Va" or ecu(hardware_id = "gateway")')
    wrong = command("group", "preview", "--filter", "vehicle_id = ", "--json")

    assert found[1] == "2 vehicle(s), among them Va, Vb.\n"
    error = json.loads(wrong[1])["error"]
    assert (wrong[0], error["code"], error["line"], error["column"]) == (3, "filter.syntax", 1, 14)
    assert "where more is expected: a text in quotes" in error["detail"]


def test_a_vehicle_is_explained(bench, command):
    make_vehicle(bench.tenant, "V1")

    told = command("vehicle", "explain", "V1")
    as_json = json.loads(command("vehicle", "explain", "V1", "--json")[1])
    unknown = command("vehicle", "explain", "a/b")

    assert told[1].startswith("V1 is not being updated.\n")
    assert [answer["code"] for answer in as_json["answers"]] == [
        "vehicle.never_heard_of",
        "vehicle.nothing_proved",
        "campaign.none",
    ]
    assert unknown[0] == 3


def test_an_approval_of_ones_own_is_refused_with_its_code(bench, campaign):
    Tenant.objects.update(required_approvals=1)
    Campaign.objects.update(created_by="token:ci")
    campaigns = bench.publisher().campaigns
    campaigns.act("spring", "submit")

    with pytest.raises(ServerRefusalError) as refused:
        campaigns.act("spring", "approve")

    assert refused.value.code == "campaign.own_approval"
    assert Campaign.objects.get().state == "in_review"
