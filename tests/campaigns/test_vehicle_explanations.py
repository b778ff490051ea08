"""Why is this vehicle (not) being updated: obstacles of its own, and every campaign that concerns it."""

from datetime import timedelta

import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Attempt, Campaign
from otaserver.campaigns.queries import explain_vehicle
from otaserver.campaigns.rules import explanations as rules
from otaserver.campaigns.rules.windows import Window
from otaserver.campaigns.states import AssignmentState, Verdict
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Ecu, Group, Membership, Vehicle
from tests.campaigns.campaign_factories import (
    HARDWARE,
    fail,
    in_turn,
    install,
    make_approved,
    make_campaign,
    make_running,
    make_started,
    make_versions,
    report,
    tick,
)
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


def explain(vehicle, when=NOON):
    return explain_vehicle(Vehicle.objects.select_related("tenant").get(pk=vehicle.pk), at=when)


def codes(vehicle, when=NOON):
    return [answer.code for answer in explain(vehicle, when).answers]


def well(tenant, **fields):
    return make_vehicle(tenant, hardware=HARDWARE, **{"last_contact_at": NOON, "confirmed_at": NOON} | fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["campaign.none"]),
        ({"last_contact_at": None}, ["vehicle.never_heard_of", "campaign.none"]),
        ({"last_contact_at": NOON - timedelta(days=1)}, ["campaign.none"]),
        ({"last_contact_at": NOON - timedelta(days=1, seconds=1)}, ["vehicle.silent", "campaign.none"]),
        ({"confirmed_at": None}, ["vehicle.nothing_proved", "campaign.none"]),
        ({"blocked_at": NOON, "blocked_reason": "Police."}, ["vehicle.blocked", "campaign.none"]),
    ],
)
def test_what_stands_in_the_vehicles_own_way_comes_first(fields, expected):
    assert codes(well(make_tenant(), **fields)) == expected


def test_a_vehicle_that_has_not_enrolled_is_told_how():
    vehicle = well(make_tenant())
    Vehicle.objects.update(enrolled_at=None)

    answer = explain(vehicle).answers[0]

    assert (answer.code, answer.remedy) == (
        "vehicle.not_enrolled",
        "Issue a claim code and let the vehicle enrol.",
    )


def test_a_stopped_tenant_is_named_with_its_reason():
    vehicle = well(make_tenant(stopped_at=NOON, stopped_reason="Theft of keys."))

    answer = explain(vehicle).answers[0]

    assert (answer.code, answer.limit, answer.value) == ("tenant.stopped", "Theft of keys.", "2026-06-01 12:00 UTC")


def test_an_order_under_way_says_until_when():
    campaign = make_running(vehicles=1)
    vehicle = in_turn(campaign)[0].vehicle

    found = explain(vehicle)

    assert found.is_being_updated
    answer = found.answers[-1]
    assert (answer.code, answer.campaign, answer.limit) == ("assignment.offered", "spring", "2026-06-15 12:00 UTC")
    assert answer.sentence.startswith("The release is offered")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: make_campaign(vehicles=1), "campaign.draft"),
        (lambda: make_approved(vehicles=1), "campaign.approved"),
    ],
)
def test_a_campaign_that_has_not_started_concerns_its_group(make, expected):
    campaign = make()
    vehicle = campaign.group.memberships.get().vehicle
    outsider = well(campaign.tenant)

    assert codes(vehicle)[-1] == expected
    assert codes(outsider) == ["campaign.none"]


def test_who_came_into_the_group_after_the_start_is_told_so():
    campaign = make_running(vehicles=1)
    late = well(campaign.tenant)
    Membership.objects.create(group=campaign.group, vehicle=late)

    (answer,) = explain(late).answers

    assert (answer.code, answer.limit) == ("campaign.list_frozen", "2026-06-01 12:00 UTC")


def test_a_dynamic_group_is_asked_for_this_vehicle_alone():
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    a, b = well(tenant, vehicle_id="A"), well(tenant, vehicle_id="B")
    for vehicle in (a, b):
        install(vehicle, old)
    text = 'vehicle_id = "A" or ecu(hardware_id = "none")'
    group = fleet.create_group(tenant, name="dynamic", filter=text, by="x", at=NOON)
    make_campaign(tenant=tenant, old=old, release=new, group=group)

    assert (codes(a), codes(b)) == (["campaign.draft"], ["campaign.none"])


def test_a_filter_that_can_no_longer_be_answered_is_said():
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    vehicle = well(tenant)
    group = fleet.create_group(tenant, name="dynamic", filter="blocked = False", by="x", at=NOON)
    make_campaign(tenant=tenant, old=old, release=new, group=group)
    Group.objects.filter(pk=group.pk).update(filter="attribute.gone = 1")

    assert codes(vehicle) == ["group.filter_refused"]


def test_wrong_hardware_names_the_rule_and_the_vehicles_own():
    tenant = make_tenant()
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    odd = make_vehicle(tenant, hardware=("tractor",), last_contact_at=NOON, confirmed_at=NOON)
    fine = well(tenant)
    install(fine, old)
    group = fleet.create_group(tenant, name="all", filter="blocked = False", by="x", at=NOON)
    make_running(tenant=tenant, old=old, release=new, group=group)

    (answer,) = explain(odd).answers

    assert (answer.code, answer.limit, answer.value) == (
        "verdict.wrong_hardware",
        "car 2.0",
        "No package fits the vehicle's hardware (tractor).",
    )
    assert not explain(odd).is_being_updated


def test_waiting_has_the_reason_that_holds_it():
    campaign = make_running(vehicles=4, waves=(50, 100), max_in_flight=1)
    first, second, third, _ = in_turn(campaign)
    wave_two = codes(third.vehicle)[-1]
    in_turn_but_full = codes(second.vehicle)[-1]
    operations.pause_campaign(campaign, by="x", at=NOON, reason="Weekend.")
    paused = explain(second.vehicle).answers[-1]

    assert (wave_two, in_turn_but_full) == ("wave.waiting", "assignment.waiting")
    assert (paused.code, paused.limit, paused.remedy) == ("campaign.paused", "Weekend.", "Resume it.")
    assert explain(first.vehicle).is_being_updated


def test_a_second_campaign_waits_for_the_first():
    tenant = make_tenant()
    old, new, newer = make_versions(tenant), make_versions(tenant, "2.0"), make_versions(tenant, "3.0")
    first = make_running(vehicles=1, tenant=tenant, old=old, release=new)
    make_running(tenant=tenant, old=old, release=newer, group=first.group, name="summer")
    vehicle = in_turn(first)[0].vehicle

    found = {answer.campaign: (answer.code, answer.value) for answer in explain(vehicle).answers if answer.campaign}

    assert found == {
        "summer": ("vehicle.busy", "spring (offered)"),
        "spring": ("assignment.offered", "offered"),
    }


def freeze(campaign):
    operations.declare_blackout(campaign.tenant, name="summit", reason="Closed roads.", starts_at=NOON, by="x", at=NOON)


def take_the_place(campaign):
    """Another vehicle took this minute's place."""
    other = Assignment.objects.create(
        campaign=campaign, vehicle=make_vehicle(campaign.tenant, vehicle_id="X"), rank=1, state="lapsed"
    )
    Attempt.objects.create(assignment=other, vehicle=other.vehicle, number=1, opened_at=NOON, closed_at=NOON)


NIGHT = Window(0b1111111, 22 * 60, 60)


@pytest.mark.parametrize(
    ("plan", "before", "expected"),
    [
        ({}, freeze, ("blackout.in_force", "summit: Closed roads", "until it is lifted")),
        (
            {"windows": [NIGHT], "downloads_early": False},
            lambda _: None,
            ("window.shut", "2026-06-01 22:00 (UTC)", "2026-06-01 12:00 (UTC)"),
        ),
        (
            {"windows": [NIGHT], "downloads_early": False, "ends_at": NOON + timedelta(days=2)},
            lambda _: Vehicle.objects.update(time_zone="nowhere"),
            ("vehicle.time_zone_unknown", "a time zone of the IANA list", "nowhere"),
        ),
        (
            {"offers_per_minute": 1},
            take_the_place,
            ("pace.used_up", "1 offers a minute", "used up"),
        ),
    ],
)
def test_what_time_and_pace_hold_up_is_told_with_its_own_rule(plan, before, expected):
    campaign = make_started(vehicles=1, **plan)
    before(campaign)
    tick(campaign)

    answer = explain(in_turn(campaign)[-1].vehicle).answers[-1]

    assert (answer.code, answer.limit, answer.value) == expected
    assert answer.sentence.startswith("The vehicle's turn has come, but ")


def test_a_standing_order_says_what_keeps_it_from_being_installed():
    campaign = make_running(vehicles=1)
    freeze(campaign)

    answer = explain(in_turn(campaign)[0].vehicle).answers[-1]

    assert (answer.code, answer.value) == ("blackout.in_force", "until it is lifted")
    assert answer.sentence.startswith("The release is offered and the vehicle has not answered yet (blackout summit")


def test_a_campaign_that_is_required_first_is_named():
    tenant = make_tenant()
    old, new, newer = make_versions(tenant), make_versions(tenant, "2.0"), make_versions(tenant, "3.0")
    first = make_running(vehicles=1, tenant=tenant, old=old, release=new)
    operations.pause_campaign(first, by="x", at=NOON)
    Assignment.objects.update(state="lapsed")
    second = make_running(tenant=tenant, old=old, release=newer, group=first.group, name="summer", requires=[first])

    answer = next(each for each in explain(in_turn(second)[0].vehicle).answers if each.campaign == "summer")

    assert (answer.code, answer.limit, answer.value) == (
        "campaign.required_first",
        "spring has succeeded",
        "it has not",
    )


def test_what_the_server_keeps_back_says_what_for():
    campaign = make_started(vehicles=1, windows=[NIGHT])
    Vehicle.objects.update(protocol="ddi")
    tick(campaign)

    answer = explain(in_turn(campaign)[0].vehicle).answers[-1]

    assert (answer.code, answer.limit) == ("order.withheld", "2026-06-01 12:05 UTC")
    assert answer.value == "withheld_window: its client cannot wait for a window, and none is open"


def test_a_pause_between_attempts_that_is_over_holds_nobody():
    campaign = make_running(vehicles=2, max_in_flight=1)
    first, _ = in_turn(campaign)
    report(first, "finished", "failure", "disk_full")
    tick(campaign, NOON + timedelta(minutes=1))
    early = codes(first.vehicle, NOON + timedelta(minutes=2))[-1]
    late = NOON + timedelta(hours=5)
    no_room = codes(first.vehicle, late)[-1]
    freeze(campaign)

    assert (early, no_room, codes(first.vehicle, late)[-1]) == (
        "attempt.later",
        "assignment.waiting",
        "blackout.in_force",
    )


def test_a_campaign_that_is_held_up_itself_keeps_nobody_from_another():
    tenant = make_tenant()
    old, new, other = make_versions(tenant), make_versions(tenant, "2.0"), make_versions(tenant, "3.0", ("gateway",))
    shut = {"windows": [NIGHT], "downloads_early": False}
    first = make_running(vehicles=2, tenant=tenant, old=old, release=new, **shut)
    second = make_running(
        tenant=tenant,
        old=old,
        release=other,
        group=first.group,
        name="b",
        max_in_flight=1,
        no_way_back_reason="None.",
        fallback_release=None,
    )
    waits = in_turn(second, "waiting")[0]

    found = {answer.campaign: answer.code for answer in explain(waits.vehicle).answers if answer.campaign}

    assert found == {"spring": "window.shut", "b": "assignment.waiting"}


def put_on_a_list(campaign):
    group = make_group(campaign.tenant, in_turn(campaign)[0].vehicle)
    Group.objects.filter(pk=group.pk).update(blocks_updates_reason="Lent to the press.")


@pytest.mark.parametrize(
    ("before", "code"),
    [
        (put_on_a_list, "verdict.on_block_list"),
        (lambda _: Ecu.objects.update(hardware_id="other"), "verdict.wrong_hardware"),
        (lambda _: Vehicle.objects.update(enrolled_at=None), "verdict.not_enrolled"),
    ],
)
def test_who_could_take_no_part_when_its_turn_came_is_told_the_rule_and_what_would_change_it(before, code):
    campaign = make_started(vehicles=1)
    before(campaign)
    tick(campaign)

    answer = explain(in_turn(campaign)[0].vehicle).answers[-1]

    assert (answer.code, answer.remedy) == (code, rules.excluded(code.removeprefix("verdict.")).remedy)
    assert answer.sentence.startswith("The vehicle could take no part when its turn came")


def test_a_vehicle_that_was_decommissioned_was_not_overtaken():
    campaign = make_running(vehicles=1)
    (assignment,) = in_turn(campaign)
    operations.decommission_vehicle(assignment.vehicle, reason="Scrapped.", by="x", at=NOON)

    answer = explain(assignment.vehicle).answers[-1]

    assert answer.sentence.startswith("The vehicle was taken out of service (decommissioned")


def test_who_matches_a_dynamic_campaign_that_is_paused_is_not_told_that_its_list_is_made():
    campaign = make_running(vehicles=1, is_dynamic=True)
    operations.pause_campaign(campaign, by="x", at=NOON)
    late = well(campaign.tenant)
    Membership.objects.create(group=campaign.group, vehicle=late)

    assert codes(late) == ["campaign.takes_in"]
    operations.close_campaign(campaign, by="x", at=NOON, reason="Enough.")
    assert codes(late) == ["campaign.list_frozen"]


def test_what_goes_on_is_told_however_much_came_and_went_since():
    campaign = make_running(vehicles=1)
    (assignment,) = in_turn(campaign)
    for number in range(25):
        over = Campaign.objects.create(
            tenant=campaign.tenant,
            name=f"over {number}",
            group=campaign.group,
            release=campaign.release,
            created_by="x",
            created_at=NOON,
            state="completed",
            started_at=NOON,
            finished_at=NOON + timedelta(days=number),
        )
        Assignment.objects.create(campaign=over, vehicle=assignment.vehicle, rank=1, state="superseded")

    told = [answer.campaign for answer in explain(assignment.vehicle).answers if answer.campaign]

    assert (told[-1], told[0], len(told)) == ("spring", "over 24", 20)


def test_a_failure_has_its_code():
    campaign = make_running(vehicles=2, max_failed=5)
    fail(in_turn(campaign)[0], "health_failed")

    answer = explain(in_turn(campaign)[0].vehicle).answers[-1]

    assert (answer.code, answer.value) == ("assignment.failed", "health_failed")


def test_it_costs_as_many_queries_whatever_there_is(django_assert_num_queries):
    tenant = make_tenant()
    old = make_versions(tenant)
    vehicle = well(tenant)
    install(vehicle, old)
    fleet.declare_attribute(tenant, name="region", type="text", by="x", at=NOON)

    def campaign(number):
        text = f'attribute.region != "r{number}" or group != "g{number}"'
        fleet.create_group(tenant, name=f"g{number}", by="x", at=NOON)
        group = fleet.create_group(tenant, name=f"d{number}", filter=text, by="x", at=NOON)
        release = make_versions(tenant, f"2.{number}")
        return make_campaign(tenant=tenant, old=old, release=release, group=group, name=f"c{number}")

    campaign(1)
    row = Vehicle.objects.select_related("tenant").get(pk=vehicle.pk)
    with django_assert_num_queries(7):
        assert len(explain_vehicle(row, at=NOON).answers) == 1
    for number in range(2, 6):
        campaign(number)
    running = Campaign.objects.get(name="c5")
    operations.submit_campaign(running, by="x", at=NOON)
    operations.approve_campaign(running, by="y", at=NOON)
    operations.start_campaign(running, by="y", at=NOON)
    # Blackouts and windows, where it waits.
    with django_assert_num_queries(9):
        assert len(explain_vehicle(row, at=NOON).answers) == 5


def test_nothing_of_another_tenant_is_told():
    make_campaign(vehicles=1)
    stranger = well(make_tenant())

    assert codes(stranger) == ["campaign.none"]


def test_every_verdict_and_every_state_has_its_own_remedy():
    assert set(rules.EXCLUDED) == set(Verdict) - {Verdict.FITS}
    assert set(rules.ASSIGNED) == set(AssignmentState) - {AssignmentState.EXCLUDED, AssignmentState.WAITING}
    assert rules.excluded("new").code == "verdict.new"
    assert rules.assigned("new").code == "assignment.new"
