"""When a campaign's vehicles are offered its release, and what their orders say of when they may install it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from firmware_store.models import RoleMetadata
from otaserver.campaigns import operations, queries
from otaserver.campaigns.errors import MetadataEndsError, PlanRefusedError
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Window
from otaserver.campaigns.rules import windows
from otaserver.campaigns.rules.windows import EVERY_DAY
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    attempt_of,
    fail,
    in_turn,
    make_approved,
    make_campaign,
    make_fleet,
    make_running,
    make_started,
    make_versions,
    report,
    states,
    succeed,
    tick,
)
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.django_db

NIGHT = windows.Window(EVERY_DAY, 22 * 60, 8 * 60)
MINUTE = timedelta(minutes=1)


def order_of(assignment):
    content = Direction.objects.get(vehicle=assignment.vehicle_id).content
    return None if content is None else content["custom"]["order"]


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def move(assignment, zone):
    Vehicle.objects.filter(pk=assignment.vehicle_id).update(time_zone=zone)


def explain(assignment, moment):
    rows = Assignment.objects.select_related("campaign__tenant", "vehicle")
    return queries.explain(rows.get(pk=assignment.pk), at=moment)


# Windows


def test_each_order_lists_the_windows_of_its_vehicles_own_time_zone():
    campaign = make_started(vehicles=2, windows=[NIGHT])
    first, second = in_turn(campaign)
    move(first, "Europe/Berlin")
    move(second, "America/New_York")
    tick(campaign)

    assert [order_of(each)["windows"][0] for each in (first, second)] == [
        ["2026-06-01T20:00:00Z", "2026-06-02T04:00:00Z"],
        ["2026-06-02T02:00:00Z", "2026-06-02T10:00:00Z"],
    ]
    assert [len(order_of(each)["windows"]) for each in (first, second)] == [14, 14]


def test_without_windows_an_order_says_nothing_of_them_and_is_not_renewed():
    (assignment,) = in_turn(make_running(vehicles=1))

    assert order_of(assignment)["windows"] is None
    assert assignment.renew_at is None


def test_an_order_is_made_anew_before_its_windows_run_out_and_stays_the_same_attempt():
    campaign = make_running(vehicles=1, windows=[NIGHT])
    (assignment,) = in_turn(campaign)
    before = order_of(assignment)
    renew_at = assignment.renew_at

    tick(campaign, renew_at - MINUTE)
    assert order_of(assignment) == before
    tick(campaign, renew_at)
    after = order_of(assignment)

    assert renew_at == at(days=7)
    assert after["windows"] != before["windows"] and after | {"windows": None} == before | {"windows": None}
    assert after["windows"][-1] == ["2026-06-21T22:00:00Z", "2026-06-22T06:00:00Z"]
    assert Attempt.objects.count() == 1
    assert queries.order_for(assignment.vehicle).windows[-1] == (utc(2026, 6, 21, 22), utc(2026, 6, 22, 6))


def test_what_installs_is_not_made_anew():
    campaign = make_running(vehicles=1, windows=[NIGHT], install_timeout_seconds=30 * 86400)
    (assignment,) = in_turn(campaign)
    report(assignment, "installing")
    before = order_of(assignment)

    tick(campaign, at(days=8))

    assert order_of(assignment) == before
    assert Assignment.objects.get().renew_at is None


def test_a_vehicle_that_moves_to_another_zone_gets_other_windows_at_the_next_tick():
    campaign = make_running(vehicles=1, windows=[NIGHT])
    (assignment,) = in_turn(campaign)

    changed = operations.set_time_zone([assignment.vehicle], "Asia/Kolkata", by="alice", at=NOON)
    tick(campaign, NOON)

    assert changed == 1
    assert order_of(assignment)["windows"][0] == ["2026-06-01T16:30:00Z", "2026-06-02T00:30:00Z"]


def test_a_zone_that_nobody_knows_opens_no_window():
    campaign = make_started(vehicles=1, windows=[NIGHT])
    (assignment,) = in_turn(campaign)
    move(assignment, "Mars/Olympus")
    tick(campaign)

    assert order_of(assignment)["windows"] == []
    assert "its time zone 'Mars/Olympus' is unknown" in explain(assignment, NOON)


def test_where_downloads_are_not_early_nothing_is_offered_outside_a_window():
    campaign = make_started(vehicles=2, windows=[NIGHT], downloads_early=False)
    first, second = in_turn(campaign)
    move(second, "Pacific/Auckland")
    tick(campaign)

    assert states(campaign) == ["waiting", "offered"]
    assert explain(first, NOON) == ("The vehicle's turn has come, but the next window opens at 2026-06-01 22:00 (UTC).")
    tick(campaign, at(hours=10))
    assert states(campaign) == ["offered", "offered"]


def test_a_vehicle_that_says_its_window_shut_before_it_switched_is_held_and_begins_anew():
    campaign = make_running(vehicles=1, windows=[NIGHT])
    (assignment,) = in_turn(campaign)
    report(assignment, "installing", at=at(hours=17))
    report(assignment, "held", code="window", at=at(hours=18))

    assert (assignment.state, assignment.code, assignment.installing_at) == ("held", "window", None)
    assert explain(assignment, at(hours=18)).startswith(
        "The vehicle holds the installation back (the next window opens at 2026-06-02 22:00 (UTC));"
    )
    report(assignment, "installing", at=at(hours=34))
    assert (assignment.state, assignment.installing_at) == ("installing", at(hours=34))
    report(assignment, "held", code="precondition", at=at(hours=34))
    assert assignment.state == "installing"


# The end


def ended(campaign):
    return [each.kind for each in campaign.decisions.order_by("pk")][-2:]


def test_at_its_end_a_campaign_settles_what_waits_withdraws_what_is_pending_and_completes():
    campaign = make_running(vehicles=4, waves=(50, 100), ends_at=at(days=2))
    first, second = in_turn(campaign, "offered")
    report(first, "downloaded")
    succeed(second, at=at(days=2) - MINUTE)

    tick(campaign, at(days=2))

    assert sorted(states(campaign)) == ["lapsed", "lapsed", "soaking", "withdrawing"]
    assert campaign.state == "running"
    assert order_of(first) is None
    assert set(campaign.assignments.filter(state="lapsed").values_list("code", flat=True)) == {"campaign_ended"}
    operations.confirm_withdrawal(first.vehicle, at=at(days=2))
    tick(campaign, at(days=2))
    assert campaign.state == "running"
    tick(campaign, at(days=2) + SOAK)
    assert campaign.state == "completed"
    assert sorted(states(campaign)) == ["lapsed", "lapsed", "succeeded", "withdrawn"]
    assert ended(campaign) == ["campaign.ended", "campaign.completed"]
    assert explain(in_turn(campaign, "lapsed")[0], at(days=3)) == (
        "The vehicle had not been offered the release when time was up "
        "(campaign_ended: The campaign ended at 2026-06-03 12:00 UTC). It counts neither way."
    )


def test_at_its_end_a_campaign_still_tells_why_a_vehicle_waited():
    parked = [{"name": "parked", "operator": "==", "value": True}]
    campaign = make_started(vehicles=2, ends_at=at(hours=2), preconditions=parked)
    kept_back, tried = in_turn(campaign)
    Vehicle.objects.filter(pk=kept_back.vehicle_id).update(protocol="aktualizr")
    tick(campaign)
    report(tried, "finished", "failure", "disk_full", at=at(hours=1))

    tick(campaign, at(hours=2))

    ended = "(campaign_ended: The campaign ended at 2026-06-01 14:00 UTC; the vehicle waited"
    assert explain(tried, at(hours=3)) == (
        f"The vehicle waited for its next order when time was up {ended} (disk_full): ). It counts neither way."
    )
    assert explain(kept_back, at(hours=3)).startswith(
        f"The vehicle had not been offered the release when time was up {ended} (withheld_precondition): its client"
    )


def test_what_an_end_had_settled_goes_on_where_the_end_is_put_off():
    campaign = make_running(vehicles=3, max_in_flight=2, ends_at=at(days=1), soak_seconds=86400)
    succeed(in_turn(campaign, "offered")[0], at=at(hours=23))
    tick(campaign, at(days=1))
    assert sorted(states(campaign)) == ["lapsed", "soaking", "withdrawing"]

    plan = replace(operations.plan_of(campaign), ends_at=at(days=9))
    operations.change_campaign(
        campaign, plan, revision=campaign.revision, by="carol", at=at(days=1), reason="A holiday lay between."
    )
    for hours in (24, 50, 51):
        operations.confirm_withdrawal(in_turn(campaign)[1].vehicle, at=at(hours=hours))
        tick(campaign, at(hours=hours))

    assert sorted(states(campaign)) == ["offered", "offered", "succeeded"]


def test_a_paused_campaign_completes_at_its_end_too():
    campaign = make_running(vehicles=1, ends_at=at(days=2))
    operations.pause_campaign(campaign, by="alice", at=NOON)

    tick(campaign, at(days=2))
    operations.confirm_withdrawal(in_turn(campaign)[0].vehicle, at=at(days=2))
    tick(campaign, at(days=2))

    assert (campaign.state, states(campaign)) == ("completed", ["withdrawn"])


def test_what_fails_after_the_end_may_still_halt_the_campaign():
    campaign = make_running(vehicles=2, ends_at=at(days=2), max_failed=0)
    first, _ = in_turn(campaign)
    report(first, "installing", at=at(days=2) - MINUTE)
    tick(campaign, at(days=2))
    fail(first, at=at(days=2))

    tick(campaign, at(days=2))

    assert campaign.state == "halted"


def test_an_order_may_not_be_installed_after_the_end():
    (assignment,) = in_turn(make_running(vehicles=1, ends_at=at(days=40)))

    assert order_of(assignment)["windows"] == [["2026-06-01T12:00:00Z", "2026-07-11T12:00:00Z"]]
    assert assignment.renew_at is None


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"ends_at": NOON}, "The end, 2026-06-01 12:00:00 UTC, must come after the start"),
        ({"ends_at": at(hours=1), "windows": [windows.Window(1 << 5, 0, 60)]}, "No window opens between"),
        ({"windows": [windows.Window(EVERY_DAY, 0, 0)]}, "0 never opens"),
        ({"windows": [windows.Window(0, 0, 60)]}, "weekdays 0 never open"),
        ({"offers_per_minute": 0}, "not 0"),
        ({"bytes_per_hour": 10}, "10 bytes an hour"),
        ({"preconditions": [{"name": "mood", "operator": "==", "value": "good"}]}, "'mood'"),
        ({"consent": "ask_with_deadline"}, "needs a number"),
        (
            {"consent": "ask_with_deadline", "consent_deadline_seconds": 30 * 86400},
            "2592000 seconds after the first question .* stands for 1814400 at most",
        ),
        ({"consent": "ask_with_deadline", "consent_postponements": 21}, "it would never go ahead"),
    ],
)
def test_a_plan_that_could_never_let_a_vehicle_install_is_refused(plan, said):
    with pytest.raises(PlanRefusedError, match=said):
        make_campaign(vehicles=1, **plan)

    assert not Campaign.objects.exists()
    assert not Window.objects.exists()


def test_a_campaign_is_not_scheduled_to_start_after_its_end():
    campaign = make_approved(vehicles=1, ends_at=at(days=2))

    with pytest.raises(PlanRefusedError, match="must come after the start"):
        operations.schedule_campaign(campaign, starts_at=at(days=2), by="alice", at=NOON)

    assert Campaign.objects.get().state == "approved"


def test_a_campaign_whose_end_has_passed_does_not_start():
    campaign = make_approved(vehicles=1, ends_at=at(days=2))

    with pytest.raises(PlanRefusedError):
        operations.start_campaign(campaign, by="alice", at=at(days=2))

    assert Campaign.objects.get().state == "approved"
    assert not Assignment.objects.exists()


# Pace


def offered(campaign):
    return campaign.assignments.filter(state="offered").count()


def test_no_minute_has_more_offers_than_the_pace_whatever_came_before():
    campaign = make_started(vehicles=8, offers_per_minute=3)
    seen = []
    for seconds in (0, 1, 30, 59, 60, 61, 3600, 3601):
        tick(campaign, at(seconds=seconds))
        seen.append(offered(campaign))

    # After an hour's pause no more than three at once either.
    assert seen == [3, 3, 3, 3, 6, 6, 8, 8]
    opened = sorted(Attempt.objects.values_list("opened_at", flat=True))
    assert all(sum(one <= other < one + MINUTE for other in opened) <= 3 for one in opened)


def test_a_burst_after_a_pause_does_not_exceed_the_pace():
    campaign = make_started(vehicles=8, offers_per_minute=3)
    tick(campaign)
    operations.pause_campaign(campaign, by="alice", at=at(seconds=1))
    operations.resume_campaign(campaign, by="alice", at=at(hours=5))

    tick(campaign, at(hours=5))

    assert offered(campaign) == 6
    assert explain(in_turn(campaign, "waiting")[0], at(hours=5)) == (
        "The vehicle's turn has come, but the pace of 3 offers a minute is used up for the moment."
    )


def test_an_hour_has_no_more_bytes_than_the_pace():
    tenant = make_tenant()
    old, new = make_versions(tenant, length=100), make_versions(tenant, "2.0", length=500)
    group = make_group(tenant, *make_fleet(tenant, 5, old))
    campaign = make_started(tenant=tenant, old=old, release=new, group=group, bytes_per_hour=2500)
    seen = []
    for minutes in (0, 59, 60, 119, 120):
        tick(campaign, at(minutes=minutes))
        seen.append(offered(campaign))

    assert seen == [2, 2, 4, 4, 5]
    assert set(Attempt.objects.values_list("length", flat=True)) == {1000}


def test_an_hour_must_fit_a_stepping_stone_too():
    tenant = make_tenant()
    old, stone = make_versions(tenant, length=100), make_versions(tenant, "2.0", length=90_000)
    new = make_versions(tenant, "3.0", length=500)
    new.stepping_stone = stone
    new.save()
    plan = {"tenant": tenant, "old": old, "release": new, "group": make_group(tenant, *make_fleet(tenant, 1, old))}

    # Nobody would ever be offered the stone, and the first in turn keeps all others waiting.
    with pytest.raises(PlanRefusedError, match="100000 bytes an hour and the release has 180000"):
        make_campaign(**plan, bytes_per_hour=100_000)
    make_campaign(**plan, bytes_per_hour=180_000)


# Preconditions


CHARGED = {"name": "state_of_charge", "operator": ">=", "value": 40}
FULL = {"name": "battery_12v", "operator": ">", "value": 12.4}


def say(assignment, phase, outcome="none", code="", moment=NOON, **measured):
    vehicle = Vehicle.objects.get(pk=assignment.vehicle_id)
    said = operations.VehicleReport(
        attempt_of(assignment).pk, f"r{moment}{phase}", phase, outcome, code=code, measured=measured
    )
    operations.record_report(vehicle, said, can_prove=True, at=moment)


def test_preconditions_are_signed_into_the_order_and_what_was_measured_explains_the_vehicle():
    campaign = make_running(vehicles=1, preconditions=[CHARGED, FULL])
    (assignment,) = in_turn(campaign)

    say(assignment, "held", code="precondition", state_of_charge=30, battery_12v=12.6)
    say(assignment, "held", code="precondition", moment=at(hours=1), state_of_charge=12, battery_12v=12.6)

    assert order_of(assignment)["preconditions"] == [CHARGED, FULL | {"value": "12.4"}]
    assert "(state_of_charge is 12, must be >= 40)" in explain(assignment, at(hours=2))
    (latest, earlier) = queries.measurements([assignment])[attempt_of(assignment).pk]
    assert (latest.measured, earlier.measured["state_of_charge"]) == ({"state_of_charge": 12, "battery_12v": 12.6}, 30)


def test_a_roll_back_keeps_the_preconditions_and_waits_for_no_window_or_owner():
    campaign = make_running(vehicles=1, preconditions=[CHARGED], windows=[NIGHT], consent="ask")
    succeed(in_turn(campaign)[0])
    operations.stop_campaign(campaign, by="alice", at=NOON, reason="bad")
    rollback = operations.create_rollback(campaign, release=campaign.fallback_release, name="back", by="alice", at=NOON)
    operations.submit_campaign(rollback, by="alice", at=NOON)
    operations.approve_campaign(rollback, by="bob", at=NOON)
    operations.start_campaign(rollback, by="alice", at=NOON)
    tick(rollback)

    order = order_of(in_turn(rollback)[0])
    assert (order["preconditions"], order["windows"], order["consent"]) == ([CHARGED], None, None)


def test_a_campaign_that_would_outlive_its_metadata_is_not_even_drafted():
    tenant = make_tenant()
    RoleMetadata.objects.create(
        tenant=tenant,
        repository="image",
        role="targets",
        profile="tuf-1.0",
        version=1,
        body=b"{}",
        sha256="0" * 64,
        expires_at=at(days=10),
        created_at=NOON,
    )

    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    plan = {"tenant": tenant, "old": old, "release": new, "group": make_group(tenant, *make_fleet(tenant, 1, old))}

    with pytest.raises(MetadataEndsError, match="may need it until 2026-06-12"):
        make_campaign(**plan, ends_at=at(days=11))
    assert not Campaign.objects.exists()
    make_campaign(**plan, ends_at=at(days=10))


def test_what_a_vehicle_held_for_when_its_campaign_ended_is_still_told():
    campaign = make_running(vehicles=4, ends_at=at(days=2))
    by_metadata, by_report, in_silence, unheld = in_turn(campaign)
    for held in (by_metadata, by_report, in_silence):
        # Between windows it holds for the next one.
        report(held, "held", code="consent")
        report(held, "held", code="window", at=at(hours=1))

    for _ in range(2):
        tick(campaign, at(days=2))
    operations.confirm_withdrawal(by_metadata.vehicle, at=at(days=2))
    report(by_report, "finished", "refused", "withdrawn", at=at(days=2))
    operations.lapse_due(at(days=30))

    told = "(campaign_ended: The campaign ended at 2026-06-03 12:00 UTC; until then the vehicle held (consent): )"
    for held in (by_metadata, by_report, in_silence):
        held.refresh_from_db()
        assert explain(held, at(days=30)) == f"The order was withdrawn {told}. It counts neither way."
    unheld.refresh_from_db()
    assert (unheld.state, unheld.message) == ("withdrawn", "The campaign ended at 2026-06-03 12:00 UTC.")
