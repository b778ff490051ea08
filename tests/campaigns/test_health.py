"""Health signals in a campaign: what is stored, what is asked, what halts, what asks a person."""

from datetime import timedelta

import pytest

from otaserver.campaigns import operations, queries
from otaserver.campaigns.errors import SignalRefusedError
from otaserver.campaigns.models import ControlBlock, Decision, HealthReading
from otaserver.campaigns.operations import Told, VehicleReport
from otaserver.campaigns.states import GateVerdict
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    attempt_of,
    fail,
    in_turn,
    make_running,
    prove,
    report,
    succeed,
    tick,
)
from tests.campaigns.health_factories import add_signals, say, start_with_signals
from tests.factories import NOON

pytestmark = pytest.mark.django_db
LIMITS = {"boots": 3, "crashes": 0}


def make_soaking(vehicles, *, limits=LIMITS, **plan):
    """A campaign of which every vehicle installed at noon, and soaks."""
    campaign = start_with_signals(vehicles, limits=limits, **plan)
    tick(campaign)
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
    return campaign


def values(assignment, name):
    return list(assignment.readings.filter(name=name).order_by("pk").values_list("value", flat=True))


def mature(campaign):
    tick(campaign, NOON + SOAK)


def decided(campaign, kind):
    return Decision.objects.filter(campaign=campaign, kind=kind).order_by("pk").last()


def test_a_vehicle_is_asked_while_it_soaks_and_never_else():
    campaign = start_with_signals(1, limits=LIMITS)
    tick(campaign)
    (assignment,) = in_turn(campaign)
    offered = queries.wanted_of(assignment.vehicle)
    succeed(assignment)
    soaking = queries.wanted_of(assignment.vehicle)
    mature(campaign)

    assert (offered, soaking, queries.wanted_of(assignment.vehicle)) == ([], ["boots", "crashes"], [])


def test_a_vehicle_of_a_release_without_signals_is_asked_nothing():
    (assignment,) = in_turn(make_running(vehicles=1))
    succeed(assignment)

    assert queries.wanted_of(assignment.vehicle) == []
    assert say(assignment, boots=1) == []
    assert not HealthReading.objects.exists()


def test_one_reading_an_hour_is_stored_and_the_first_above_the_limit():
    (assignment,) = in_turn(make_soaking(1))
    for minutes, boots in [(0, 1), (10, 2), (20, 9), (30, 10), (61, 2), (125, 4)]:
        say(assignment, boots=boots, at=at(minutes=minutes))

    assert values(assignment, "boots") == [1, 9, 4]


@pytest.mark.parametrize(("name", "value"), [("Boots", 1.0), ("boots", float("nan")), ("boots", float("inf"))])
def test_a_reading_out_of_its_form_is_refused_and_nothing_is_stored(name, value):
    (assignment,) = in_turn(make_soaking(1))

    with pytest.raises(SignalRefusedError):
        say(assignment, crashes=0, **{name: value})

    assert not HealthReading.objects.exists()


def test_a_vehicle_whose_worst_value_is_above_the_limit_is_bad_and_one_that_says_nothing_is_missing():
    campaign = make_soaking(3)
    first, second, _ = in_turn(campaign)
    say(first, boots=3, crashes=0)
    say(second, boots=4)
    say(second, boots=0, at=at(hours=2))

    mature(campaign)

    boots, crashes = queries.signal_views(campaign)
    assert (boots.name, boots.good, boots.bad, boots.missing) == ("boots", 1, 1, 1)
    assert (crashes.name, crashes.good, crashes.bad, crashes.missing) == ("crashes", 1, 0, 2)


def test_too_many_bad_vehicles_halt_although_every_installation_succeeded():
    campaign = make_soaking(9)
    for assignment in in_turn(campaign):
        say(assignment, boots=1, crashes=2)

    mature(campaign)

    halt = decided(campaign, "gate.halted")
    assert (campaign.state, halt.wave.number) == ("halted", 1)
    assert halt.sentence == "Too many vehicles report crashes above 0: 5 of 5."
    assert halt.inputs["signal"] == "crashes"
    assert halt.inputs["statistic"] >= halt.inputs["limit"]
    # What came behind stays unread, by every test.
    assert campaign.assignments.filter(is_judged=True).count() == 5
    assert campaign.gate_states.get().successes == 5
    assert [view.good for view in queries.signal_views(campaign)] == [5, 0]


def test_resumed_by_a_person_the_signal_begins_anew_and_the_rest_is_read():
    campaign = make_soaking(9)
    for assignment in in_turn(campaign):
        say(assignment, boots=1, crashes=2)
    mature(campaign)

    operations.resume_campaign(campaign, by="alice", at=NOON + SOAK, reason="The counter was wrong.")
    crashes = queries.signal_views(campaign)[1]
    mature(campaign)

    assert (crashes.bad, crashes.statistic, crashes.verdict) == (5, 0, GateVerdict.UNDECIDED)
    assert queries.signal_views(campaign)[1].bad == 9


def test_a_wave_of_which_more_than_half_lack_a_signal_asks_a_person():
    campaign = make_soaking(5)
    for assignment in in_turn(campaign)[:2]:
        say(assignment, boots=1, crashes=0)

    mature(campaign)

    assert campaign.waves.get().state == "undecided"
    sentence = "Of 5 vehicles 3 did not report boots: its limit cannot be judged."
    assert decided(campaign, "wave.undecided").sentence == sentence


def test_a_wave_of_which_half_report_passes():
    campaign = make_soaking(4)
    for assignment in in_turn(campaign)[:2]:
        say(assignment, boots=1, crashes=0)

    mature(campaign)

    assert campaign.state == "completed"


def test_readings_count_from_the_installation_that_brought_the_result():
    campaign = make_soaking(1)
    (assignment,) = in_turn(campaign)
    HealthReading.objects.create(assignment=assignment, name="boots", value=9, at=NOON - timedelta(hours=1))
    say(assignment, boots=1, crashes=0)

    mature(campaign)

    assert queries.signal_views(campaign)[0].bad == 0


def test_a_roll_back_does_not_wait_for_signals():
    campaign = make_soaking(1)
    assignment = in_turn(campaign)[0]
    add_signals(campaign.fallback_release, boots=3)
    operations.stop_campaign(campaign, by="alice", at=NOON, reason="Customers call.")
    back = operations.create_rollback(campaign, release=campaign.fallback_release, name="back", by="alice", at=NOON)
    for step in (operations.submit_campaign, operations.approve_campaign, operations.start_campaign):
        step(back, by="bob", at=NOON)

    assert not back.signal_states.exists()
    assert queries.wanted_of(assignment.vehicle) == ["boots", "crashes"]


def test_signals_take_their_part_of_alpha_from_the_outcomes():
    campaign = start_with_signals(2, limits=LIMITS)
    without = make_running(vehicles=2)

    assert campaign.gate_states.get().outcome_share == 0.5
    assert set(campaign.signal_states.values_list("alpha_share", flat=True)) == {0.25}
    assert without.gate_states.get().outcome_share == 1
    assert queries.gate_view(campaign).tests[0].limit > queries.gate_view(without).tests[0].limit


def test_the_control_share_is_held_out_and_asked_for_signals_while_the_campaign_is_under_way():
    campaign = start_with_signals(10, limits=LIMITS, control=20)
    held = list(campaign.assignments.filter(verdict="control").order_by("rank"))

    assert [each.state for each in held] == ["excluded", "excluded"]
    assert held == list(campaign.assignments.order_by("rank")[:2])
    assert campaign.waves.get().places == 8
    assert queries.wanted_of(held[0].vehicle) == ["boots", "crashes"]
    assert "held out" in queries.explain(held[0])
    operations.cancel_campaign(campaign, by="alice", at=NOON)
    assert queries.wanted_of(held[0].vehicle) == []


def test_without_a_control_share_nobody_is_held_out():
    campaign = start_with_signals(10, limits=LIMITS)

    assert not campaign.assignments.filter(verdict="control").exists()
    assert {view.comparison for view in queries.signal_views(campaign)} == {None}


def compare(treated, control, *, vehicles=40):
    """Half of the vehicles are held out; each says how often it booted."""
    campaign = make_soaking(vehicles, limits={"boots": 3}, control=50)
    for assignment in in_turn(campaign, "soaking"):
        say(assignment, boots=treated)
    for assignment in in_turn(campaign, "excluded"):
        say(assignment, boots=control, at=at(hours=1))
    mature(campaign)
    return campaign


@pytest.mark.any_database
def test_a_difference_to_those_held_out_halts():
    campaign = start_with_signals(60, limits={"boots": 3}, control=50)
    # Its own test is out of the way: almost any rate is acceptable to it.
    campaign.release.signals.update(acceptable_rate=0.9, unacceptable_rate=0.99)
    tick(campaign)
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment)
        say(assignment, boots=9)
    for assignment in in_turn(campaign, "excluded"):
        say(assignment, boots=1, at=at(hours=1))

    mature(campaign)

    halt = decided(campaign, "control.halted")
    view = queries.signal_views(campaign)[0].comparison
    assert campaign.state == "halted"
    assert halt.inputs["statistic"] >= halt.inputs["limit"]
    assert (view.verdict, view.control_bad, view.treated) == (GateVerdict.HALT, 0, view.treated_bad)
    assert ControlBlock.objects.count() == view.control
    assert f"({view.treated_bad} of {view.treated}) than those held out (0 of {view.control})" in halt.sentence


@pytest.mark.any_database
def test_where_both_are_as_bad_the_comparison_does_not_halt():
    campaign = compare(9, 9)

    view = queries.signal_views(campaign)[0]
    assert decided(campaign, "control.halted") is None
    assert decided(campaign, "gate.halted").inputs["signal"] == "boots"
    assert (view.comparison.treated_bad, view.comparison.control_bad) == (view.bad, view.bad)


def test_each_vehicle_that_is_held_out_serves_once_and_over_the_same_hours():
    campaign = compare(1, 1)

    assert campaign.state == "completed"
    assert ControlBlock.objects.values("control").distinct().count() == ControlBlock.objects.count() == 20


def test_without_readings_of_the_same_hours_nothing_is_compared():
    campaign = make_soaking(10, limits={"boots": 3}, control=50)
    for assignment in in_turn(campaign, "soaking"):
        say(assignment, boots=1)
    for assignment in in_turn(campaign, "excluded"):
        say(assignment, boots=1, at=NOON - timedelta(minutes=1))

    mature(campaign)

    assert not ControlBlock.objects.exists()
    assert queries.signal_views(campaign)[0].comparison.treated == 0
    assert campaign.waves.get().state == "undecided"
    sentence = "Of 5 groups of vehicles 5 have none held out that reported boots."
    assert decided(campaign, "wave.undecided").sentence == sentence


@pytest.mark.parametrize("moment", ["offered", "downloading", "held", "installing", "soaking"])
def test_a_code_that_halts_does_so_at_once_in_whatever_state_it_is_reported(moment):
    campaign = make_running(vehicles=2, halt_codes=["brakes_lost"])
    assignment = in_turn(campaign)[0]
    if moment in ("downloading", "held", "installing"):
        report(assignment, moment)
    if moment == "soaking":
        succeed(assignment)
    report(assignment, "finished", "failure", "brakes_lost", at=at(minutes=5))

    tick(campaign, at(minutes=6))

    assert campaign.state == "halted"
    assert decided(campaign, "limit.halted").inputs["limit"] == "halt_codes"


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [("downloading", "none"), ("held", "none"), ("installing", "none"), ("installed", "none"), ("finished", "success")],
)
@pytest.mark.parametrize("is_batch", [False, True])
def test_a_code_that_halts_does_so_in_whatever_phase_it_is_said(phase, outcome, is_batch):
    campaign = make_running(vehicles=2, halt_codes=["brakes_lost"])
    assignment = in_turn(campaign)[0]
    said = VehicleReport(attempt_of(assignment).pk, "r1", phase, outcome, code="brakes_lost")
    if is_batch:
        operations.record_together([Told(assignment.vehicle, said, True, at(minutes=5))])
    else:
        operations.record_report(assignment.vehicle, said, can_prove=True, at=at(minutes=5))

    tick(campaign, at(minutes=6))

    assert campaign.state == "halted"
    assert decided(campaign, "limit.halted").inputs["reporters"] == {"brakes_lost": 1}
    assert queries.replay(campaign).differences == []


def test_a_code_that_the_release_states_halts_every_campaign_of_it():
    campaign = make_running(vehicles=2)
    campaign.release.halt_codes = ["brakes_lost"]
    campaign.release.save(update_fields=["halt_codes"])
    fail(in_turn(campaign)[0], "brakes_lost")

    tick(campaign)

    assert campaign.state == "halted"


def test_a_refusal_with_a_code_that_halts_does_so_and_one_answered_for_by_a_person_does_not_again():
    campaign = make_running(vehicles=2, halt_codes=["brakes_lost"])
    report(in_turn(campaign)[0], "finished", "refused", "brakes_lost", at=at(minutes=5))
    tick(campaign, at(minutes=6))
    halted = campaign.state

    operations.resume_campaign(campaign, by="alice", at=at(minutes=7), reason="A broken sensor.")
    tick(campaign, at(minutes=8))

    assert (halted, campaign.state) == ("halted", "running")


def test_a_code_that_halts_does_so_though_the_vehicle_has_proved_itself_since():
    campaign = make_running(vehicles=2, halt_codes=["brakes_lost"])
    assignment = in_turn(campaign)[0]
    fail(assignment, "brakes_lost")
    prove(assignment, campaign.release)

    tick(campaign)

    assert (assignment.state, campaign.state) == ("soaking", "halted")


def test_a_share_too_small_for_a_vehicle_holds_out_none():
    campaign = start_with_signals(3, limits={"boots": 3}, control=20)

    assert sorted(campaign.assignments.values_list("verdict", flat=True)) == ["fits"] * 3
    assert campaign.signal_states.get().treated_per_block == 0
    assert decided(campaign, "campaign.started").sentence == "Started with 3 vehicles."


def test_the_hint_to_ask_is_set_by_a_soak_or_a_hold_out_and_goes_when_nothing_is_asked():
    campaign = start_with_signals(2, limits=LIMITS, control=50)
    tick(campaign)
    held, treated = in_turn(campaign)
    before = [Vehicle.objects.get(pk=each.vehicle_id).is_health_wanted for each in (treated, held)]
    succeed(treated)
    asked = [operations.wanted_of(Vehicle.objects.get(pk=each.vehicle_id)) for each in (treated, held)]
    operations.cancel_campaign(campaign, by="alice", at=NOON)
    late = Vehicle.objects.get(pk=held.vehicle_id)
    ended = operations.wanted_of(late)
    late.refresh_from_db()

    assert (before, asked) == ([False, True], [["boots", "crashes"]] * 2)
    assert (ended, late.is_health_wanted) == ([], False)


def test_one_slow_vehicle_does_not_hide_what_the_others_report():
    campaign = start_with_signals(9, limits={"crashes": 0}, soak_seconds=1800, wave_failures=9)
    tick(campaign)
    first, *others = in_turn(campaign)
    report(first, "installing")
    for assignment in others:
        succeed(assignment, at=at(minutes=1))
        say(assignment, crashes=2, at=at(minutes=2))

    tick(campaign, at(minutes=32))

    assert (campaign.state, decided(campaign, "gate.halted").inputs["signal"]) == ("halted", "crashes")
    first.refresh_from_db()
    assert (first.state, first.is_judged) == ("installing", False)
    assert queries.replay(campaign).differences == []


def test_what_a_slow_vehicle_could_still_avert_is_awaited():
    campaign = start_with_signals(9, limits={"crashes": 0}, soak_seconds=1800)
    tick(campaign)
    first, *others = in_turn(campaign)
    report(first, "installing")
    for assignment in others:
        succeed(assignment, at=at(minutes=1))
        say(assignment, crashes=0, at=at(minutes=2))

    tick(campaign, at(minutes=32))

    assert (campaign.state, campaign.assignments.filter(is_judged=True).count()) == ("running", 0)
