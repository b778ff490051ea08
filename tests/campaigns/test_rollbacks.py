import pytest

from otaserver.campaigns import errors, operations
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import CampaignState
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    fail,
    in_turn,
    make_running,
    make_versions,
    prove,
    report,
    states,
    succeed,
    tick,
)
from tests.factories import NOON, make_tenant

pytestmark = pytest.mark.django_db


def make_halted():
    """By rank: succeeded, soaking, failed but runs it, failed and returned, installing, withdrawing."""
    campaign = make_running(vehicles=6)
    good, soaking, broken, returned, slow, _ = in_turn(campaign)
    succeed(good)
    operations.lapse_due(NOON + SOAK)
    succeed(soaking, at=NOON + SOAK)
    succeed(broken, at=NOON + SOAK)
    report(broken, "finished", "failure", "health_failed", at=NOON + SOAK)
    fail(returned, at=NOON + SOAK)
    report(slow, "installing", at=NOON + SOAK)
    operations.stop_campaign(campaign, by="eve", at=NOON + SOAK, reason="Bad.")
    return campaign


def start_rollback(campaign, at=NOON + SOAK):
    rollback = operations.create_rollback(campaign, release=campaign.fallback_release, name="back", by="eve", at=at)
    operations.submit_campaign(rollback, by="eve", at=at)
    operations.approve_campaign(rollback, by="bob", at=at)
    operations.start_campaign(rollback, by="eve", at=at)
    tick(rollback, at)
    return rollback


def test_every_vehicle_that_confirmed_the_bad_release_is_brought_back_at_once():
    campaign = make_halted()

    rollback = start_rollback(campaign)

    assert (rollback.kind, rollback.rolls_back) == ("rollback", campaign)
    assert {a.vehicle for a in in_turn(rollback)} == {a.vehicle for a in in_turn(campaign)[:3]}
    assert states(rollback) == ["offered"] * 3


def test_a_vehicle_that_ends_its_installation_later_is_taken_in():
    campaign = make_halted()
    rollback = start_rollback(campaign)
    slow = in_turn(campaign)[4]

    for assignment in in_turn(rollback):
        succeed(assignment, at=NOON + SOAK)
    tick(rollback, NOON + 2 * SOAK)
    assert (states(rollback), rollback.state) == (["succeeded"] * 3, "running")
    prove(slow, campaign.release, at=NOON + 2 * SOAK)
    tick(rollback, NOON + 2 * SOAK)
    joined = rollback.assignments.get(vehicle=slow.vehicle)
    assert joined.state == "offered"
    operations.confirm_withdrawal(in_turn(campaign)[5].vehicle, at=NOON)
    succeed(joined, at=NOON + 2 * SOAK)
    tick(rollback, NOON + 3 * SOAK)

    assert (states(rollback), rollback.state) == (["succeeded"] * 4, "completed")


def test_returning_a_vehicle_that_soaks_supersedes_its_first_assignment():
    campaign = make_halted()
    soaking = in_turn(campaign)[1]
    rollback = start_rollback(campaign)

    succeed(rollback.assignments.get(vehicle=soaking.vehicle), at=at(hours=9))

    soaking.refresh_from_db()
    assert soaking.state == "superseded"
    assert soaking.attempts.get().outcome == "success"


def test_packages_that_both_releases_share_are_no_reason_to_roll_back():
    tenant = make_tenant()
    old = make_versions(tenant)
    new = make_versions(tenant, "2.0", hardware=("brake",))
    shared = old.items.get(package__name="gateway")
    new.items.create(package=shared.package)
    campaign = make_running(tenant=tenant, old=old, release=new, vehicles=2)
    succeed(in_turn(campaign)[0])
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Bad.")

    rollback = start_rollback(campaign)

    assert [a.vehicle for a in in_turn(rollback)] == [in_turn(campaign)[0].vehicle]


def test_nobody_to_roll_back_is_said_at_submission():
    campaign = make_running(vehicles=1)
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Bad.")
    operations.confirm_withdrawal(in_turn(campaign)[0].vehicle, at=NOON)
    rollback = operations.create_rollback(campaign, release=campaign.fallback_release, name="back", by="eve", at=NOON)

    with pytest.raises(errors.NoVehicleFitsError):
        operations.submit_campaign(rollback, by="eve", at=NOON)


def make_rollback(campaign, state):
    rollback = operations.create_rollback(campaign, release=campaign.fallback_release, name="back", by="eve", at=NOON)
    Campaign.objects.filter(pk=rollback.pk).update(state=state)
    rollback.refresh_from_db()
    return rollback


@pytest.mark.parametrize("state", list(CampaignState))
def test_a_halted_campaign_is_not_resumed_beside_its_roll_back(state):
    campaign = make_halted()
    make_rollback(campaign, state)

    if state in {"completed", "cancelled"}:
        operations.resume_campaign(campaign, by="bob", at=NOON, reason="Cause found.")
    else:
        with pytest.raises(errors.RollbackUnfinishedError, match="is rolled back by back"):
            operations.resume_campaign(campaign, by="bob", at=NOON, reason="Cause found.")

    expected = "running" if state in {"completed", "cancelled"} else "halted"
    assert campaign.state == Campaign.objects.get(pk=campaign.pk).state == expected


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_roll_back_is_not_started_beside_the_campaign_that_it_takes_back(state):
    campaign = make_halted()
    rollback = make_rollback(campaign, "approved")
    Campaign.objects.filter(pk=campaign.pk).update(state=state)

    with pytest.raises(errors.FirstCampaignRunsError):
        operations.start_campaign(rollback, by="eve", at=NOON + SOAK)

    assert Campaign.objects.get(pk=rollback.pk).state == "approved"
    assert not rollback.assignments.exists()


def test_what_cannot_be_rolled_back_is_refused():
    campaign = make_running(vehicles=1)
    back = campaign.fallback_release

    def refused(**changes):
        values = {"release": back, "name": "back", "by": "eve", "at": NOON} | changes
        with pytest.raises((errors.PlanRefusedError, errors.CampaignNameTakenError)) as caught:
            operations.create_rollback(campaign, **values)
        return caught.value.message

    assert "must have stopped" in refused()
    operations.stop_campaign(campaign, by="eve", at=NOON, reason="Bad.")
    assert "cannot be rolled back to" in refused(release=campaign.release)
    assert "cannot be rolled back to" in refused(release=make_versions(make_tenant()))
    assert "printable ASCII" in refused(name="zurück")
    assert "already" in refused(name=campaign.name)
    assert Campaign.objects.count() == 1


def test_a_roll_back_waits_for_what_may_still_end_with_the_bad_release():
    campaign = make_halted()
    rollback = start_rollback(campaign)
    for assignment in in_turn(rollback):
        succeed(assignment, at=NOON + SOAK)

    operations.lapse_due(NOON + SOAK)
    tick(rollback, NOON + 2 * SOAK - SOAK / 2)
    assert rollback.state == "running"
    operations.lapse_due(NOON + 2 * SOAK)
    prove(in_turn(campaign)[4], campaign.fallback_release, at=at(hours=17))
    tick(rollback, at(hours=17))

    assert rollback.state == "completed"
