"""Which operation begins in which state of a campaign: every one in every state."""

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Campaign, Decision, GateState, Wave
from otaserver.campaigns.states import CampaignState
from otaserver.director.models import Direction
from otaserver.errors import ConflictError, OtaError
from otaserver.statemachine import InvalidTransitionError
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    in_turn,
    make_approved,
    make_campaign,
    make_running,
    make_started,
    succeed,
    tick,
    undone,
)
from tests.factories import NOON

pytestmark = pytest.mark.django_db

LATER = NOON + SOAK


def make_undecided():
    campaign = make_running(vehicles=4, waves=(50, 100), wave_rule="ask")
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
    tick(campaign, LATER)
    assert campaign.waves.get(number=1).state == "undecided"
    return campaign


def make_in_review():
    campaign = make_campaign(vehicles=2)
    operations.submit_campaign(campaign, by="alice", at=NOON)
    return campaign


def make_scheduled():
    campaign = make_approved(vehicles=2)
    operations.schedule_campaign(campaign, starts_at=at(days=1), by="alice", at=NOON)
    return campaign


def make_completed():
    campaign = make_running(vehicles=1)
    succeed(in_turn(campaign)[0])
    tick(campaign, LATER)
    return campaign


def after(operation, make=make_undecided, **values):
    campaign = make()
    getattr(operations, operation)(campaign, by="alice", at=LATER, **values)
    return campaign


MAKERS = {
    CampaignState.DRAFT: lambda: make_campaign(vehicles=2),
    CampaignState.IN_REVIEW: make_in_review,
    CampaignState.APPROVED: lambda: make_approved(vehicles=2),
    CampaignState.SCHEDULED: make_scheduled,
    CampaignState.RUNNING: make_undecided,
    CampaignState.PAUSED: lambda: after("pause_campaign"),
    CampaignState.HALTED: lambda: after("stop_campaign", reason="Bad."),
    CampaignState.COMPLETED: make_completed,
    CampaignState.CANCELLED: lambda: after("cancel_campaign"),
}


def run(operation, **values):
    return lambda campaign: getattr(operations, operation)(campaign, by="bob", at=LATER, **values)


def decide(passed):
    def act(campaign):
        operations.decide_wave(campaign.waves.get(number=1), passed=passed, reason="Seen.", by="bob", at=LATER)
        campaign.refresh_from_db()

    return act


def advance(campaign):
    tick(campaign, at(days=2))


def roll_back(campaign):
    operations.create_rollback(campaign, release=campaign.fallback_release, name="back", by="bob", at=LATER)


def stop_tenant(campaign):
    operations.stop_tenant(campaign.tenant, by="bob", at=LATER, reason="Recall.")
    campaign.refresh_from_db()


ACTS = {
    "submit": run("submit_campaign"),
    "approve": run("approve_campaign"),
    "reject": run("reject_campaign", reason="No."),
    "schedule": run("schedule_campaign", starts_at=at(days=3)),
    "start": run("start_campaign"),
    "pause": run("pause_campaign"),
    "resume": run("resume_campaign", reason="Go."),
    "cancel": run("cancel_campaign"),
    "stop": run("stop_campaign", reason="Bad."),
    "pass_wave": decide(True),
    "fail_wave": decide(False),
}
UNFINISHED = set(CampaignState) - {CampaignState.COMPLETED, CampaignState.CANCELLED}
# Where each begins, and where it leads.
LEADS = {
    "submit": {"draft": "in_review"},
    "approve": {"in_review": "approved"},
    "reject": {"in_review": "draft", "approved": "draft"},
    "schedule": {"approved": "scheduled"},
    "start": {"approved": "running", "scheduled": "running"},
    "pause": {"running": "paused"},
    "resume": {"paused": "running", "halted": "running"},
    "cancel": dict.fromkeys(UNFINISHED, "cancelled"),
    # One that is halted stays so: what it lets go on is stopped.
    "stop": {"scheduled": "approved", "running": "halted", "paused": "halted", "halted": "halted"},
    "pass_wave": {"running": "running", "paused": "paused"},
    "fail_wave": {"running": "halted", "paused": "halted"},
}


def rows():
    models = (Campaign, Wave, Assignment, GateState, Decision, Direction, Entry)
    return [list(model.objects.order_by("pk").values()) for model in models]


@pytest.mark.parametrize("state", list(CampaignState))
def test_an_operation_succeeds_from_its_source_states_and_elsewhere_changes_nothing(state):
    assert MAKERS[state]().state == state
    before = rows()

    for name, act in ACTS.items():
        lead = LEADS[name].get(state)
        with undone():
            campaign = Campaign.objects.get()
            if lead is None:
                with pytest.raises(InvalidTransitionError):
                    act(campaign)
                assert (name, campaign.state) == (name, state)
                assert rows() == before
            else:
                act(campaign)
                assert (name, campaign.state, Campaign.objects.get().state) == (name, lead, lead)
                # With a halt by a person's word people are told.
                assert Decision.objects.count() == len(before[4]) + (2 if name == "fail_wave" else 1)


@pytest.mark.parametrize("state", list(CampaignState))
def test_only_what_has_stopped_is_rolled_back_and_a_tick_moves_only_what_is_under_way_or_due(state):
    campaign = MAKERS[state]()
    before = rows()

    with undone():
        if state in {"halted", "completed", "cancelled"}:
            roll_back(campaign)
            assert campaign.rollbacks.get().state == "draft"
        else:
            with pytest.raises(OtaError):
                roll_back(campaign)
            assert rows() == before

    with undone():
        advance(campaign)
        if state in {"scheduled", "running", "paused"}:
            assert campaign.state == {"scheduled": "running"}.get(state, state)
        else:
            assert rows() == before

    campaign.refresh_from_db()
    stop_tenant(campaign)

    stopped = {"scheduled": "approved", "running": "halted", "paused": "halted"}
    assert campaign.state == stopped.get(state, state)
    if state in stopped:
        assert (campaign.reason, campaign.starts_at) == ("Recall.", None)
    with pytest.raises(ConflictError):
        run("start_campaign")(campaign)


def test_a_started_campaign_is_not_started_again_on_a_pause():
    campaign = make_started(vehicles=2)
    operations.pause_campaign(campaign, by="alice", at=NOON)

    with pytest.raises(InvalidTransitionError, match="is paused; it would have to be approved or scheduled"):
        operations.start_campaign(campaign, by="bob", at=NOON)

    assert Assignment.objects.count() == 2
