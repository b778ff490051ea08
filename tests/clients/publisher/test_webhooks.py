"""Webhooks, mail and looking around, by command."""

import json

import pytest

from otaserver.events import operations as events
from otaserver.events.models import Endpoint
from otaserver.tenants.models import Member, User
from otaserver.tenants.states import Role
from tests.campaigns.campaign_factories import make_running
from tests.factories import NOON, make_group, make_vehicle

pytestmark = pytest.mark.any_database
URL = "https://93.184.216.34/hook"


def test_every_command_about_webhooks_and_mail_answers_people_and_programs(bench, command):
    user = User.objects.create(username="ada", email="ada@example.com")
    Member.objects.create(tenant=bench.tenant, user=user, role=Role.APPROVER)
    made = json.loads(command("webhook", "add", URL, "--type", "campaign.*", "--json")[1])
    hook = str(made["id"])
    steps = {
        ("webhook", "list"): "active",
        ("webhook", "edit", hook, "--all-types", "--description", "CI"): URL,
        ("webhook", "test", hook): "is on its way",
        ("webhook", "deliveries", hook, "--state", "pending"): "webhook.test",
        ("webhook", "rotate-secret", hook): "whsec_",
        ("webhook", "replay", hook, "--since", "2026-06-01T00:00:00Z", "--until", "2026-06-02T00:00:00Z"): "0 event(s)",
        ("webhook", "types"): "campaign.halted",
        ("webhook", "events", "--type", "webhook.test"): "This is a test.",
        ("mail", "list"): "ada@example.com",
        ("mail", "member", "ada", "--kind", "halts"): "ada is written to about halts.",
        ("mail", "settings", "--kind", "halts"): "Written about: halts; also to nobody.",
        ("tenant", "polling", "60"): "every 60 seconds",
    }

    for step, expected in steps.items():
        code, out, err = command(*step)
        assert (code, err) == (0, ""), (step, out)
        assert expected in out, step
        assert json.loads(command(*step, "--json")[1]) is not None
    delivery = Endpoint.objects.get().deliveries.first().pk
    assert command("webhook", "redeliver", str(delivery))[0] == 0
    moves = [
        command("webhook", *each)[:2]
        for each in (("pause", hook, "--reason", "x"), ("resume", hook), ("remove", hook), ("resume", hook))
    ]
    assert moves[:3] == [(0, f"Webhook {hook} is {state}.\n") for state in ("paused", "active", "removed")]
    assert moves[3][0] == 3
    assert command("webhook", "add", "ftp://x")[0] == 3


def test_what_is_said_of_mail_leaves_the_rest_as_it_is(command):
    def said(*options):
        found = json.loads(command("mail", "settings", *options, "--json")[1])
        return found["kinds"], found["addresses"]

    everything, nobody = said()
    team = said("--address", "team@example.com")
    halts = said("--kind", "halts")

    assert (team, halts) == ((everything, ["team@example.com"]), (["halts"], ["team@example.com"]))
    assert said("--address", "") == (["halts"], nobody)


def test_one_can_look_at_everything(bench, command):
    campaign = make_running(vehicles=2, tenant=bench.tenant)
    release = campaign.release
    car = make_vehicle(bench.tenant, "V1")
    make_group(bench.tenant, car, name="mine")
    make_vehicle(bench.tenant, "V2")
    events.publish(bench.tenant, at=NOON)
    steps = {
        ("vehicle", "list", "--filter", 'vehicle_id = "V1"'): "V1",
        ("vehicle", "list", "--limit", "1"): "V2",
        ("vehicle", "show", "V1"): "gateway",
        ("group", "show", "mine"): "Group mine is static.",
        ("group", "add", "mine", "--vehicle", "V2"): "1 vehicle(s) are new in mine.",
        ("group", "vehicles", "mine"): "V2",
        ("group", "remove", "mine", "--vehicle", "V2"): "1 vehicle(s) are no longer in mine.",
        ("release", "show", release.name, release.version): "supplier/",
        ("campaign", "list", "--state", "running"): campaign.name,
        ("campaign", "assignments", campaign.name): "offered",
        ("campaign", "explain", campaign.name): "campaign.started",
        ("audit", "--limit", "5"): "campaign.started",
    }

    for step, expected in steps.items():
        code, out, err = command(*step)
        assert (code, err) == (0, ""), (step, out)
        assert expected in out, (step, out)
        json.loads(command(*step, "--json")[1])
    assert json.loads(command("vehicle", "list", "--limit", "1", "--json")[1])[0]["vehicle_id"] == "V2"
    assert [command(*step)[0] for step in (("group", "show", "none"), ("vehicle", "show", "none"))] == [2, 3]
