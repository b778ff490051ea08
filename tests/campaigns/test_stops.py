import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns import errors, operations
from otaserver.campaigns.models import Campaign, Decision
from otaserver.director.models import Direction
from otaserver.statemachine import InvalidTransitionError, StaleStateError
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    in_turn,
    make_approved,
    make_running,
    report,
    states,
    succeed,
    tick,
)
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def make_mixed():
    """A campaign with a vehicle in each part of its way, by rank."""
    campaign = make_running(vehicles=7, waves=(85, 100))
    ways = [[], ["downloading"], ["downloading", "downloaded"], ["held"], ["installing"]]
    for assignment, phases in zip(in_turn(campaign), ways, strict=False):
        for phase in phases:
            report(assignment, phase)
    succeed(in_turn(campaign)[5])
    return campaign


def test_an_emergency_stop_withdraws_everything_that_is_not_being_installed():
    campaign = make_mixed()

    operations.stop_campaign(campaign, by="eve", at=at(minutes=1), reason="Brakes.")

    assert states(campaign) == ["withdrawing"] * 4 + ["installing", "soaking", "waiting"]
    directed = {d.vehicle_id for d in Direction.objects.exclude(content=None)}
    assert directed == {in_turn(campaign)[4].vehicle_id}
    decided = Decision.objects.get(kind="campaign.stopped")
    assert (decided.actor, decided.sentence, decided.inputs) == ("eve", "Brakes.", {"withdrawn": 4})
    assert Entry.objects.filter(action="campaign.stopped", actor="eve").exists()
    tick(campaign, at(minutes=2))
    assert (campaign.state, campaign.waves.get(number=1).state) == ("halted", "open")


def test_a_stop_needs_a_reason():
    campaign = make_running(vehicles=1)

    with pytest.raises(errors.ReasonMissingError):
        operations.stop_campaign(campaign, by="eve", at=NOON, reason=" ")

    assert states(campaign) == ["offered"]


def test_of_two_operators_stopping_a_campaign_the_second_hears_that_it_stands():
    campaign = make_running(vehicles=1)
    stale = Campaign.objects.get()
    operations.stop_campaign(campaign, by="alice", at=NOON, reason="One.")

    with pytest.raises(StaleStateError):
        operations.stop_campaign(stale, by="bob", at=NOON, reason="Two.")

    assert Campaign.objects.get().reason == "One."


@pytest.mark.parametrize("operation", ["pause", "resume", "cancel"])
def test_a_stale_copy_moves_nothing(operation):
    campaign = make_running(vehicles=1)
    if operation == "resume":
        operations.pause_campaign(campaign, by="alice", at=NOON)
    stale = Campaign.objects.get()
    operations.cancel_campaign(campaign, by="alice", at=NOON)

    with pytest.raises(StaleStateError):
        getattr(operations, f"{operation}_campaign")(stale, by="bob", at=NOON)

    assert Campaign.objects.get().state == "cancelled"


def test_a_withdrawal_that_is_never_confirmed_ends_when_nothing_can_begin_any_more():
    campaign = make_running(vehicles=1, grace_hours=2)
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Recall.")

    assert operations.lapse_due(at(hours=5, minutes=59)) == 0
    assert operations.lapse_due(at(hours=6)) == 1
    assert operations.lapse_due(at(hours=6)) == 0

    assert states(campaign) == ["withdrawn"]


def test_what_soaks_in_a_halted_campaign_matures_all_the_same():
    campaign = make_mixed()
    operations.stop_campaign(campaign, by="eve", at=at(minutes=1), reason="Brakes.")

    operations.lapse_due(NOON + SOAK)

    assert states(campaign) == ["withdrawn"] * 4 + ["failed", "succeeded", "waiting"]


def test_cancelling_ends_it_for_good():
    campaign = make_mixed()

    operations.cancel_campaign(campaign, by="alice", at=at(minutes=1), reason="Obsolete.")

    assert states(campaign) == ["withdrawing"] * 4 + ["installing", "soaking", "withdrawn"]
    assert (campaign.state, campaign.finished_at) == ("cancelled", at(minutes=1))
    with pytest.raises(InvalidTransitionError):
        operations.resume_campaign(campaign, by="alice", at=NOON)


def test_stopping_a_tenant_stops_all_that_it_runs_and_nothing_of_others():
    running, other = make_running(vehicles=1), make_running(vehicles=1)
    tenant = running.tenant
    waiting = make_approved(
        tenant=tenant, old=running.fallback_release, release=running.release, group=running.group, name="later"
    )

    halted = operations.stop_tenant(tenant, by="eve", at=NOON, reason="Recall.")

    assert halted == [running]
    assert (states(running), states(other)) == (["withdrawing"], ["offered"])
    for refused in (
        lambda: operations.start_campaign(waiting, by="alice", at=NOON),
        lambda: operations.resume_campaign(Campaign.objects.get(pk=running.pk), by="alice", at=NOON, reason="Go."),
    ):
        with pytest.raises(errors.TenantStoppedError):
            refused()
    assert [c.state for c in Campaign.objects.order_by("pk")] == ["halted", "running", "approved"]


def test_a_stop_of_a_scheduled_campaign_or_its_tenant_leaves_it_to_a_person_to_start():
    first = make_approved(vehicles=2)
    tenant = first.tenant
    second = make_approved(
        tenant=tenant, old=first.fallback_release, release=first.release, group=first.group, name="later"
    )
    for campaign in (first, second):
        operations.schedule_campaign(campaign, starts_at=at(hours=1), by="alice", at=NOON)

    operations.stop_campaign(first, by="eve", at=NOON, reason="Wait.")
    halted = operations.stop_tenant(tenant, by="eve", at=NOON, reason="Recall.")
    operations.resume_tenant(tenant, by="eve", at=NOON, reason="False alarm.")
    tick(first, at(hours=2))
    tick(second, at(hours=2))

    assert halted == []
    assert [(c.state, c.reason, c.starts_at) for c in (first, second)] == [
        ("approved", "Wait.", None),
        ("approved", "Recall.", None),
    ]
    assert Decision.objects.filter(kind="campaign.unscheduled", actor="eve").count() == 2


def test_a_stopped_tenant_is_stopped_once_and_resumed_once():
    tenant = make_running(vehicles=1).tenant
    stale = Tenant.objects.get(pk=tenant.pk)

    with pytest.raises(errors.TenantNotStoppedError):
        operations.resume_tenant(tenant, by="eve", at=NOON, reason="Why not.")
    operations.stop_tenant(tenant, by="eve", at=NOON, reason="Recall.")
    with pytest.raises(errors.TenantStoppedError):
        operations.stop_tenant(stale, by="bob", at=NOON, reason="Recall!")
    operations.resume_tenant(tenant, by="eve", at=NOON, reason="Done.")

    assert Tenant.objects.get(pk=tenant.pk).stopped_at is None
    actions = list(Entry.objects.filter(tenant=tenant, action__startswith="tenant.").values_list("action", flat=True))
    assert actions == ["tenant.stopped", "tenant.resumed"]


def test_a_campaign_that_slipped_through_the_stop_of_its_tenant_is_halted_by_the_next_tick():
    campaign = make_running(vehicles=2, max_in_flight=1)
    Tenant.objects.update(stopped_at=NOON, stopped_reason="Recall.")

    tick(campaign)

    assert (campaign.state, campaign.reason) == ("halted", "Recall.")
    assert states(campaign) == ["withdrawing", "waiting"]
