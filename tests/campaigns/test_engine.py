from otaserver.campaigns.models import Decision
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    fail,
    in_turn,
    make_campaign,
    make_running,
    states,
    succeed,
    tick,
)
from tests.factories import NOON
import pytest

pytestmark = pytest.mark.django_db


def test_a_campaign_goes_through_its_waves_to_its_end():
    campaign = make_running(vehicles=4, waves=(25, 100))
    assert states(campaign) == ["offered", "waiting", "waiting", "waiting"]

    succeed(in_turn(campaign)[0])
    tick(campaign, at(hours=1))
    assert [w.state for w in campaign.waves.all()] == ["maturing", "waiting"]

    tick(campaign, NOON + SOAK)
    assert [w.state for w in campaign.waves.all()] == ["passed", "open"]
    assert states(campaign) == ["succeeded", "offered", "offered", "offered"]

    for a in in_turn(campaign, "offered"):
        succeed(a, at=NOON + SOAK)
    tick(campaign, NOON + 2 * SOAK)
    assert campaign.state == "completed"
    print([(d.kind, d.sentence, d.inputs) for d in Decision.objects.order_by("pk")])


def test_four_failures_halt_a_campaign_at_maturity_and_not_before():
    campaign = make_running(vehicles=20, waves=(50, 100), max_failed=10)
    for a in in_turn(campaign, "offered")[:4]:
        fail(a)
    tick(campaign, at(hours=7))
    assert campaign.state == "running"
    tick(campaign, NOON + SOAK)
    assert campaign.state == "halted"
    print([(d.kind, d.sentence, d.inputs) for d in Decision.objects.order_by("pk")])
    print(states(campaign))
