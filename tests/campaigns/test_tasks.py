from datetime import timedelta

import pytest

from otaserver import clock
from otaserver.campaigns import operations, tasks
from otaserver.campaigns.models import Attempt, Decision
from otaserver.celery import app
from tests.campaigns.campaign_factories import SOAK, in_turn, make_approved, make_running, make_started, states, succeed
from tests.factories import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _eager():
    """Run tasks where they are sent: what a worker would do, without one."""
    app.conf.task_always_eager = app.conf.task_eager_propagates = True
    yield
    app.conf.task_always_eager = app.conf.task_eager_propagates = False


def run_at(task, at, **arguments):
    with clock.using(lambda: at):
        task(**arguments)


def test_a_tick_advances_every_campaign_under_way_and_may_be_repeated():
    running, other = make_started(vehicles=1), make_started(vehicles=2)
    make_approved(vehicles=1)

    for _ in range(2):
        run_at(tasks.advance_campaigns, NOON)

    assert (states(running), states(other)) == (["offered"], ["offered", "offered"])
    assert Attempt.objects.count() == 3


def test_a_tick_starts_what_is_due():
    campaign = make_approved(vehicles=1)
    operations.schedule_campaign(campaign, starts_at=NOON + timedelta(hours=1), by="alice", at=NOON)

    run_at(tasks.advance_campaigns, NOON)
    assert states(campaign) == []
    for _ in range(2):
        run_at(tasks.advance_campaigns, NOON + timedelta(hours=1))

    assert states(campaign) == ["offered"]
    assert Decision.objects.filter(kind="campaign.started").count() == 1


def test_a_task_advances_one_campaign_and_may_be_repeated():
    campaign = make_started(vehicles=1)

    for _ in range(2):
        run_at(tasks.advance_campaign, NOON, campaign_id=campaign.pk)

    assert states(campaign) == ["offered"]


def test_what_is_due_in_a_campaign_that_no_longer_runs_is_closed_too():
    campaign = make_running(vehicles=1)
    succeed(in_turn(campaign)[0])
    operations.cancel_campaign(campaign, by="alice", at=NOON)

    for _ in range(2):
        run_at(tasks.lapse, NOON + SOAK)

    assert states(campaign) == ["succeeded"]
