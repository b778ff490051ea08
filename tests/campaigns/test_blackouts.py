from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns import operations, queries
from otaserver.campaigns.errors import (
    BlackoutLiftedError,
    BlackoutNameTakenError,
    BlackoutRefusedError,
    ReasonMissingError,
)
from otaserver.campaigns.models import Assignment, Blackout
from otaserver.campaigns.rules import windows
from otaserver.director.models import Direction
from otaserver.fleet.models import Group
from otaserver.fleet.states import GroupKind
from tests.campaigns.campaign_factories import at, in_turn, make_running, make_started, report, states, tick
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db


def declare(tenant, *, moment=NOON, **fields):
    values = {"name": "freeze", "reason": "Holidays.", "starts_at": moment} | fields
    return operations.declare_blackout(tenant, by="alice", at=moment, **values)


def lift(blackout, *, moment=NOON):
    operations.lift_blackout(blackout, reason="Over.", by="bob", at=moment)


def listed(assignment):
    return Direction.objects.get(vehicle=assignment.vehicle_id).content["custom"]["order"]["windows"]


def explain(assignment, moment):
    rows = Assignment.objects.select_related("campaign__tenant", "vehicle")
    return queries.explain(rows.get(pk=assignment.pk), at=moment)


def test_a_freeze_offers_nothing_to_anybody_until_it_is_lifted():
    campaign = make_started(vehicles=2)
    blackout = declare(campaign.tenant)

    tick(campaign)
    assert states(campaign) == ["waiting", "waiting"]
    assert explain(in_turn(campaign)[0], NOON) == (
        "The vehicle's turn has come, but blackout freeze is in force until it is lifted: Holidays."
    )
    lift(blackout, moment=at(days=1))
    tick(campaign, at(days=1))
    assert states(campaign) == ["offered", "offered"]


def test_what_was_downloaded_before_a_freeze_may_not_be_installed_during_it():
    campaign = make_running(vehicles=1)
    (assignment,) = in_turn(campaign)
    report(assignment, "downloaded")
    assert listed(assignment) is None

    blackout = declare(campaign.tenant, moment=at(hours=1))
    tick(campaign, at(hours=1))
    assert listed(assignment) == []
    lift(blackout, moment=at(hours=2))
    tick(campaign, at(hours=2))
    assert listed(assignment) is None
    assert Assignment.objects.get().state == "downloaded"


def test_a_blackout_is_cut_out_of_the_windows():
    night = windows.Window(windows.EVERY_DAY, 22 * 60, 8 * 60)
    campaign = make_running(vehicles=1, windows=[night])
    (assignment,) = in_turn(campaign)

    declare(campaign.tenant, starts_at=at(hours=11), ends_at=at(hours=36))
    tick(campaign)

    assert listed(assignment)[:2] == [
        ["2026-06-01T22:00:00Z", "2026-06-01T23:00:00Z"],
        ["2026-06-03T00:00:00Z", "2026-06-03T06:00:00Z"],
    ]


def test_what_installs_goes_on_during_a_freeze():
    campaign = make_running(vehicles=1)
    (assignment,) = in_turn(campaign)
    report(assignment, "installing")
    revision = Direction.objects.get().revision

    declare(campaign.tenant)
    tick(campaign)

    assert Direction.objects.get().revision == revision
    assert Assignment.objects.get().state == "installing"


def test_a_vehicle_that_waits_for_the_end_of_a_freeze_is_not_given_up_as_silent():
    campaign = make_running(vehicles=1, download_timeout_seconds=86400, offer_timeout_seconds=86400)
    (assignment,) = in_turn(campaign)
    report(assignment, "downloaded")

    declare(campaign.tenant, ends_at=at(days=30))
    for day in range(31):
        tick(campaign, at(days=day))
    assert Assignment.objects.get().state == "downloaded"
    tick(campaign, at(days=32))
    assert Assignment.objects.get().state == "lapsed"


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_a_groups_blackout_is_for_its_vehicles_alone(kind):
    campaign = make_started(vehicles=2)
    first, second = in_turn(campaign)
    if kind == "static":
        group = make_group(campaign.tenant, first.vehicle)
    else:
        text = f'vehicle_id = "{first.vehicle.vehicle_id}"'
        group = Group.objects.create(
            tenant=campaign.tenant, name="dynamic", kind=GroupKind.DYNAMIC, filter=text, created_at=NOON
        )

    declare(campaign.tenant, group=group, starts_at=at(hours=1))
    tick(campaign)
    assert (listed(first), listed(second)) == ([["2026-06-01T12:00:00Z", "2026-06-01T13:00:00Z"]], None)


def test_a_groups_blackout_in_force_offers_its_vehicles_nothing():
    campaign = make_started(vehicles=2)
    first, _ = in_turn(campaign)
    declare(campaign.tenant, group=make_group(campaign.tenant, first.vehicle))

    tick(campaign)

    assert states(campaign) == ["waiting", "offered"]


def test_a_group_whose_filter_cannot_be_read_any_more_is_the_whole_fleet():
    campaign = make_started(vehicles=1)
    group = Group.objects.create(
        tenant=campaign.tenant, name="odd", kind=GroupKind.DYNAMIC, filter="attr.gone = 1", created_at=NOON
    )
    Blackout.objects.create(
        tenant=campaign.tenant, name="x", reason="x", starts_at=NOON, group=group, created_by="x", created_at=NOON
    )

    tick(campaign)

    assert states(campaign) == ["waiting"]


def test_another_tenants_freeze_is_nobodys_business():
    campaign = make_started(vehicles=1)
    declare(make_tenant())

    tick(campaign)

    assert states(campaign) == ["offered"]


def test_a_blackout_that_is_over_counts_no_more():
    campaign = make_started(vehicles=1)
    declare(campaign.tenant, ends_at=at(days=1))

    tick(campaign, at(days=1))

    assert states(campaign) == ["offered"]
    assert listed(in_turn(campaign)[0]) is None


def test_declaring_and_lifting_are_audited_with_their_reasons():
    tenant = make_tenant()
    blackout = declare(tenant, ends_at=at(days=1))
    lift(blackout, moment=at(hours=1))

    entries = Entry.objects.filter(tenant=tenant).order_by("number")
    assert [(e.action, e.actor, e.details["reason"]) for e in entries] == [
        ("blackout.declared", "alice", "Holidays."),
        ("blackout.lifted", "bob", "Over."),
    ]
    stored = Blackout.objects.get()
    assert (stored.lifted_at, stored.lifted_by, stored.lifted_reason) == (at(hours=1), "bob", "Over.")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"reason": " "}, ReasonMissingError),
        ({"name": ""}, BlackoutRefusedError),
        ({"ends_at": NOON}, BlackoutRefusedError),
        ({"starts_at": NOON - timedelta(days=2), "ends_at": NOON - timedelta(days=1)}, BlackoutRefusedError),
        ({"starts_at": at(days=2), "ends_at": at(days=1)}, BlackoutRefusedError),
    ],
)
def test_a_blackout_that_cannot_be_is_refused(fields, error):
    tenant = make_tenant()

    with pytest.raises(error):
        declare(tenant, **fields)

    assert not Blackout.objects.exists()
    assert not Entry.objects.exists()


def test_another_tenants_group_is_refused():
    with pytest.raises(BlackoutRefusedError):
        declare(make_tenant(), group=make_group(make_tenant()))

    assert not Blackout.objects.exists()


def test_a_name_is_free_again_once_its_blackout_is_lifted():
    tenant = make_tenant()
    first = declare(tenant)

    with pytest.raises(BlackoutNameTakenError):
        declare(tenant)
    lift(first)
    declare(tenant)
    with pytest.raises(BlackoutLiftedError):
        lift(first)

    assert Blackout.objects.count() == 2
