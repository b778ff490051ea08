from datetime import timedelta

import pytest

from otaserver import clock
from otaserver.campaigns import operations
from otaserver.demo.ticks import tick
from tests.campaigns.campaign_factories import SOAK, in_turn, make_approved, make_running, make_started, states, succeed
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def tick_at(at):
    with clock.using(lambda: at):
        tick()


def test_a_tick_advances_what_runs_and_starts_what_was_scheduled():
    running, scheduled, approved = make_started(vehicles=1), make_approved(vehicles=1), make_approved(vehicles=1)
    operations.schedule_campaign(scheduled, starts_at=NOON + timedelta(hours=1), by="alice", at=NOON)

    tick_at(NOON)
    assert (states(running), states(scheduled)) == (["offered"], [])
    for _ in range(2):
        tick_at(NOON + timedelta(hours=1))

    assert (states(running), states(scheduled), states(approved)) == (["offered"], ["offered"], [])


def test_a_tick_closes_what_is_due_in_a_campaign_that_no_longer_runs():
    campaign = make_running(vehicles=1)
    succeed(in_turn(campaign)[0])
    operations.cancel_campaign(campaign, by="alice", at=NOON)

    tick_at(NOON + SOAK)

    assert states(campaign) == ["succeeded"]
