from datetime import timedelta
from itertools import count, product

import pytest
from django.db import connection

from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.audit import queries as audit
from otaserver.audit.models import Entry
from otaserver.campaigns import errors, operations, queries
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision, GateState, Wave
from otaserver.campaigns.operations import offers, turns
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle
from otaserver.statemachine import InvalidTransitionError, StaleStateError
from tests.campaigns.campaign_factories import (
    SOAK,
    at,
    fail,
    in_turn,
    install,
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


def wave_states(campaign):
    return [wave.state for wave in campaign.waves.all()]


def kinds(campaign):
    return [decision.kind for decision in Decision.objects.filter(campaign=campaign).order_by("pk")][4:]


def succeed_all(campaign, when=NOON):
    for assignment in in_turn(campaign, "offered"):
        succeed(assignment, at=when)


def test_a_campaign_goes_through_its_waves_to_its_end():
    campaign = make_running(vehicles=4, waves=(25, 100))
    assert states(campaign) == ["offered", "waiting", "waiting", "waiting"]

    succeed_all(campaign)
    tick(campaign, at(hours=1))
    assert wave_states(campaign) == ["maturing", "waiting"]
    tick(campaign, NOON + SOAK)
    assert wave_states(campaign) == ["passed", "open"]
    assert states(campaign) == ["succeeded", "offered", "offered", "offered"]
    succeed_all(campaign, NOON + SOAK)
    tick(campaign, NOON + 2 * SOAK)

    assert (campaign.state, campaign.finished_at) == ("completed", NOON + 2 * SOAK)
    assert kinds(campaign) == ["wave.opened", "wave.passed", "wave.opened", "wave.passed", "campaign.completed"]
    assert audit.first_break(campaign.tenant) is None


def test_every_tick_may_be_repeated():
    campaign = make_running(vehicles=4, waves=(50, 100))
    succeed_all(campaign)
    for when in (NOON, at(hours=1), NOON + SOAK, NOON + 2 * SOAK):
        tick(campaign, when)
        before = [list(model.objects.order_by("pk").values()) for model in (Assignment, Attempt, GateState, Decision)]
        tick(campaign, when)
        after = [list(model.objects.order_by("pk").values()) for model in (Assignment, Attempt, GateState, Decision)]
        assert after == before


def test_offering_directs_the_vehicle_and_numbers_its_attempt():
    campaign = make_running(vehicles=1)

    attempt = Attempt.objects.get()
    direction = Direction.objects.get()
    assert (attempt.number, attempt.closed_at) == (1, None)
    assert direction.attempt_id == attempt.pk
    assert direction.content is not None
    assert Vehicle.objects.get().last_attempt_number == 1
    assert in_turn(campaign)[0].due_at == at(days=14)


def test_four_failures_halt_at_their_maturity_and_not_before():
    campaign = make_running(vehicles=20, waves=(50, 100), wave_failures=10)
    for assignment in in_turn(campaign, "offered")[:4]:
        fail(assignment)

    tick(campaign, at(hours=7, minutes=59))
    assert campaign.state == "running"
    tick(campaign, NOON + SOAK)

    assert campaign.state == "halted"
    assert wave_states(campaign) == ["failed", "waiting"]
    assert states(campaign) == ["failed"] * 4 + ["withdrawing"] * 6 + ["waiting"] * 10
    decided = Decision.objects.get(kind="gate.halted")
    assert (decided.actor, decided.inputs["failures"], decided.inputs["withdrawn"]) == ("engine", 4, 6)
    assert decided.inputs["statistic"] >= decided.inputs["limit"]


def test_a_halt_leaves_installations_alone_and_they_count():
    campaign = make_running(vehicles=5, wave_failures=10)
    *failing, last = in_turn(campaign)
    for assignment in failing:
        fail(assignment)
    report(last, "installing", at=at(hours=7))

    tick(campaign, NOON + SOAK)
    assert states(campaign) == ["failed"] * 4 + ["installing"]
    assert Direction.objects.get(vehicle=last.vehicle).content is not None
    succeed(last, at=NOON + SOAK)
    operations.lapse_due(at(days=1))

    assert states(campaign) == ["failed"] * 4 + ["succeeded"]


def test_outcomes_enter_in_the_order_of_installation_start_and_wait_for_the_slow_one():
    campaign = make_running(vehicles=4, wave_failures=10, install_timeout_seconds=12 * 3600)
    slow, *quick = in_turn(campaign)
    report(slow, "installing")
    for assignment in quick:
        fail(assignment, at=at(minutes=1))

    tick(campaign, at(hours=9))
    assert (campaign.state, GateState.objects.get().failures) == ("running", 0)
    tick(campaign, at(hours=12))  # silence is a failure

    assert campaign.state == "halted"
    assert Assignment.objects.get(pk=slow.pk).code == "silent"
    assert Assignment.objects.filter(is_judged=True).count() == 4


@pytest.mark.parametrize(
    ("plan", "code", "limit"),
    [
        ({"max_failed": 0}, "health_failed", "max_failed"),
        ({}, "verification_failed", "max_verification_failed"),
        ({"halt_codes": ["health_failed"]}, "health_failed", "halt_codes"),
    ],
)
def test_hard_limits_halt_before_anything_is_mature(plan, code, limit):
    campaign = make_running(vehicles=10, waves=(50, 100), **plan)
    fail(in_turn(campaign)[0], code)

    tick(campaign, at(seconds=1))

    assert campaign.state == "halted"
    assert Decision.objects.get(kind="limit.halted").inputs["limit"] == limit
    assert states(campaign)[:5] == ["failed"] + ["withdrawing"] * 4


def test_a_package_that_is_withdrawn_halts_its_campaigns():
    campaign = make_running(vehicles=2)
    Package.objects.filter(version="2.0").update(state=PackageState.WITHDRAWN)

    tick(campaign)

    assert campaign.state == "halted"
    assert campaign.reason == "Not to be installed any more: supplier/brake-2.0, supplier/gateway-2.0."


def test_a_paused_campaign_offers_nothing_and_can_still_halt():
    campaign = make_running(vehicles=4, waves=(25, 100))
    operations.pause_campaign(campaign, by="alice", at=NOON, reason="Weekend.")

    succeed(in_turn(campaign)[0])
    tick(campaign, NOON + SOAK)
    assert states(campaign) == ["succeeded", "waiting", "waiting", "waiting"]
    assert campaign.state == "paused"
    operations.resume_campaign(campaign, by="alice", at=NOON + SOAK)
    tick(campaign, NOON + SOAK)
    fail(in_turn(campaign)[1], at=NOON + SOAK)
    operations.pause_campaign(campaign, by="alice", at=NOON + SOAK)
    Campaign.objects.update(max_failed=0)
    tick(campaign, NOON + SOAK)

    assert campaign.state == "halted"


def test_no_more_vehicles_are_in_flight_than_the_plan_allows():
    campaign = make_running(vehicles=5, max_in_flight=2)
    assert states(campaign) == ["offered", "offered", "waiting", "waiting", "waiting"]

    succeed(in_turn(campaign)[0])
    tick(campaign, at(hours=1))
    assert states(campaign).count("waiting") == 3  # soaking is in flight still
    tick(campaign, NOON + SOAK)

    assert states(campaign) == ["succeeded", "offered", "offered", "waiting", "waiting"]


def test_neutral_ends_are_refilled_from_later_waves():
    campaign = make_running(vehicles=4, waves=(50, 100))
    report(in_turn(campaign)[0], "finished", "refused", "consent_refused")

    tick(campaign)

    assert states(campaign) == ["refused", "offered", "offered", "waiting"]
    assert [a.wave.number for a in in_turn(campaign)[:3]] == [1, 1, 1]
    assert Decision.objects.get(kind="wave.refilled").inputs["vehicles"] == 1


def make_maturing():
    """A campaign whose first wave matures: one vehicle soaks, one lapsed, and one more had no turn."""
    campaign = make_running(vehicles=2, waves=(50, 100), offer_timeout_seconds=60)
    tick(campaign, at(minutes=1))
    succeed(in_turn(campaign, "offered")[0], at=at(minutes=1))
    tick(campaign, at(minutes=2))
    assert (states(campaign), wave_states(campaign)) == (["lapsed", "soaking"], ["maturing", "waiting"])
    return campaign


def test_a_maturing_wave_is_open_again_when_a_vehicle_given_up_installs_after_all():
    campaign = make_maturing()

    report(in_turn(campaign, "lapsed")[0], "installing", at=at(minutes=3))
    tick(campaign, at(minutes=3))

    assert wave_states(campaign) == ["open", "waiting"]


def test_a_maturing_wave_is_open_again_when_a_place_is_refilled():
    campaign = make_running(vehicles=3, waves=(34, 100))
    first, second, _ = in_turn(campaign)
    succeed(first)
    succeed(second)
    tick(campaign)
    assert wave_states(campaign) == ["maturing", "waiting"]
    Assignment.objects.filter(pk=first.pk).update(state="superseded", due_at=None)

    tick(campaign, at(minutes=1))

    assert (states(campaign), wave_states(campaign)) == (["superseded", "soaking", "offered"], ["open", "waiting"])


def test_a_large_campaign_is_offered_in_chunks(monkeypatch):
    monkeypatch.setattr(offers, "OFFER_CHUNK", 2)
    monkeypatch.setattr(turns, "TAKE_CHUNK", 2)
    campaign = make_started(vehicles=5)

    assert operations.advance_campaign(campaign.pk, at=NOON) is True
    assert states(campaign) == ["offered"] * 2 + ["waiting"] * 3
    tick(campaign)

    assert states(campaign) == ["offered"] * 5


PLANS = [(100,), (5, 25, 100), (1, 5, 25, 100), (50, 99, 100), (0.001, 0.002, 100), (98, 99, 100)]


@pytest.mark.parametrize(("size", "waves"), [*product([1, 3, 20], PLANS), (2, (50, 99, 100)), (41, (1, 5, 25, 100))])
def test_a_fleet_of_any_size_whose_vehicles_all_succeed_is_done_without_a_person(size, waves):
    tenant = make_tenant()
    old = make_versions(tenant)
    group = make_group(tenant, *make_fleet(tenant, size, old, hardware=("gateway",)))
    campaign = make_running(tenant=tenant, old=old, group=group, waves=waves)

    for number in range(len(waves) + 1):
        now = NOON + number * SOAK
        offered = campaign.assignments.filter(state="offered")
        Attempt.objects.filter(assignment__in=offered).update(closed_at=now, outcome="success")
        offered.update(state="soaking", installing_at=now, due_at=now + SOAK)
        tick(campaign, now + SOAK)
        tick(campaign, now + SOAK)

    assert campaign.state == "completed"
    assert set(states(campaign)) == {"succeeded"}
    assert wave_states(campaign) == ["passed"] * len(waves)
    assert set(Decision.objects.values_list("actor", flat=True)) == {"alice", "bob", "engine"}


def test_a_wave_without_places_passes_at_once_and_says_so():
    campaign = make_running(vehicles=3, waves=(5, 25, 100), wave_rule="ask")
    succeed_all(campaign)
    tick(campaign, NOON + SOAK)
    wave = campaign.waves.get(number=1)

    operations.decide_wave(wave, passed=True, reason="Fine.", by="bob", at=NOON + SOAK)
    tick(campaign, NOON + SOAK)

    assert wave_states(campaign) == ["passed", "passed", "open"]
    said = Decision.objects.filter(wave__number=2).order_by("pk")
    assert [(d.kind, d.sentence, d.inputs) for d in said] == [
        ("wave.opened", "Wave 2 is open to 0 vehicles.", {"places": 0, "vehicles": 0, "left": 0, "is_last": False}),
        (
            "wave.passed",
            "There is no vehicle for this wave.",
            {"basis": "nobody", "places": 0, "group": None, "is_anyone_left": True},
        ),
    ]


def test_the_failure_budget_looks_past_waves_without_places():
    campaign = make_running(vehicles=3, waves=(5, 25, 100), failure_budget=1)
    succeed_all(campaign)

    tick(campaign, NOON + SOAK)

    assert wave_states(campaign) == ["undecided", "waiting", "waiting"]


def test_when_all_neutral_and_nobody_is_left_the_campaign_ends():
    campaign = make_running(vehicles=2, waves=(50, 100))
    for _ in range(2):
        report(in_turn(campaign, "offered")[0], "finished", "refused", "consent_refused")
        tick(campaign)

    assert states(campaign) == ["refused", "refused"]
    assert campaign.state == "completed"


def test_a_release_that_ends_neither_way_everywhere_asks_a_person_after_twice_the_places():
    campaign = make_running(vehicles=20, waves=(10, 100))
    for day in range(5):
        for assignment in in_turn(campaign, "offered"):
            report(assignment, "finished", "refused", "precondition_failed", at=at(days=day))
        tick(campaign, at(days=day))
        tick(campaign, at(days=day))

    assert states(campaign) == ["refused"] * 4 + ["waiting"] * 16
    assert (campaign.state, wave_states(campaign)) == ("running", ["undecided", "waiting"])
    asked = Decision.objects.get(kind="wave.undecided")
    assert asked.sentence == "Too many ended neither way: 2 places have no result, after as many tries again."
    operations.decide_wave(campaign.waves.get(number=1), passed=True, reason="A rule.", by="bob", at=at(days=5))
    tick(campaign, at(days=5))
    assert states(campaign) == ["refused"] * 4 + ["offered"] * 16


def test_results_beside_too_many_neutral_ends_ask_a_person_too():
    campaign = make_running(vehicles=20, waves=(10, 100))
    succeed(in_turn(campaign, "offered")[0])
    for _ in range(3):
        report(in_turn(campaign, "offered")[0], "finished", "refused", "precondition_failed")
        tick(campaign)

    tick(campaign, NOON + SOAK)

    assert states(campaign) == ["succeeded"] + ["refused"] * 3 + ["waiting"] * 16
    assert wave_states(campaign) == ["undecided", "waiting"]


def test_vehicles_that_lapse_unheard_use_up_no_try():
    campaign = make_running(vehicles=6, waves=(15, 100))
    Vehicle.objects.update(last_contact_at=at(minutes=-1))

    for round_ in range(1, 5):
        tick(campaign, at(days=14 * round_))
        tick(campaign, at(days=14 * round_))

    assert states(campaign) == ["lapsed"] * 4 + ["offered", "waiting"]
    assert wave_states(campaign) == ["open", "waiting"]


def test_vehicles_that_fall_silent_after_they_called_use_up_tries():
    campaign = make_running(vehicles=6, waves=(15, 100))

    for round_ in range(1, 4):
        Vehicle.objects.update(last_contact_at=at(days=14 * round_ - 1))
        tick(campaign, at(days=14 * round_))
        tick(campaign, at(days=14 * round_))

    assert states(campaign) == ["lapsed"] * 2 + ["waiting"] * 4
    assert wave_states(campaign) == ["undecided", "waiting"]


def test_vehicles_never_seen_lapse_and_count_neither_way():
    campaign = make_running(vehicles=2)

    tick(campaign, at(days=14))

    assert states(campaign) == ["lapsed", "lapsed"]
    assert campaign.state == "completed"
    assert set(Direction.objects.values_list("content", flat=True)) == {None}
    assert not Attempt.objects.filter(closed_at=None).exists()
    assert GateState.objects.get().failures == 0


def test_more_failures_than_the_wave_allows_ask_a_person():
    campaign = make_running(vehicles=4, waves=(50, 100))
    first, second = in_turn(campaign, "offered")
    fail(first)
    succeed(second)

    for _ in range(2):
        tick(campaign, NOON + SOAK)

    assert wave_states(campaign) == ["undecided", "waiting"]
    assert states(campaign)[2:] == ["waiting", "waiting"]
    assert Decision.objects.get(kind="wave.undecided").inputs["wave_failures"] == 1


@pytest.mark.parametrize("passed", [True, False])
def test_a_person_decides_an_undecided_wave(passed):
    campaign = make_running(vehicles=4, waves=(50, 100), wave_rule="ask")
    succeed_all(campaign)
    tick(campaign, NOON + SOAK)
    wave = campaign.waves.get(number=1)

    with pytest.raises(errors.ReasonMissingError):
        operations.decide_wave(wave, passed=passed, reason="", by="bob", at=NOON + SOAK)
    operations.decide_wave(wave, passed=passed, reason="Looked at it.", by="bob", at=NOON + SOAK)
    tick(campaign, NOON + SOAK)

    assert wave_states(campaign) == (["passed", "open"] if passed else ["failed", "waiting"])
    assert campaign.state == ("running" if passed else "halted")
    assert Decision.objects.get(kind="wave.passed" if passed else "wave.failed").actor == "bob"


def test_of_two_people_deciding_a_wave_only_the_first_is_heard():
    campaign = make_running(vehicles=2, waves=(50, 100), wave_rule="ask")
    succeed_all(campaign)
    tick(campaign, NOON + SOAK)
    wave, stale = campaign.waves.get(number=1), campaign.waves.get(number=1)
    operations.decide_wave(wave, passed=True, reason="Fine.", by="bob", at=NOON + SOAK)

    with pytest.raises(StaleStateError):
        operations.decide_wave(stale, passed=False, reason="Bad.", by="eve", at=NOON + SOAK)

    assert campaign.waves.get(number=1).state == "passed"


def test_a_wave_that_is_still_open_is_nobodys_to_decide():
    campaign = make_running(vehicles=1)

    with pytest.raises(InvalidTransitionError):
        operations.decide_wave(campaign.waves.get(), passed=True, reason="Hurry.", by="bob", at=NOON)

    assert campaign.waves.get().state == "open"


def test_once_the_test_has_passed_a_wave_need_not_wait_for_its_stragglers():
    campaign = make_running(vehicles=8, waves=(50, 75, 100), acceptable_rate=0.01, unacceptable_rate=0.9)
    for assignment in in_turn(campaign, "offered")[:2]:
        succeed(assignment)

    tick(campaign, NOON + SOAK)

    # Two clean results pass so coarse a test. The second wave brings its own before the third opens.
    assert Decision.objects.get(kind="gate.passed").inputs["successes"] == 2
    assert wave_states(campaign) == ["passed", "open", "waiting"]
    assert states(campaign) == ["succeeded"] * 2 + ["offered"] * 4 + ["waiting"] * 2


def test_the_last_wave_waits_for_everybody():
    campaign = make_running(vehicles=4, acceptable_rate=0.01, unacceptable_rate=0.9)
    for assignment in in_turn(campaign, "offered")[:3]:
        succeed(assignment)

    tick(campaign, NOON + SOAK)

    assert (campaign.state, wave_states(campaign)) == ("running", ["open"])


def test_a_vehicle_has_one_order_at_a_time():
    tenant = make_tenant()
    old = make_versions(tenant)
    group = make_group(tenant, *make_fleet(tenant, 1, old))
    first = make_running(tenant=tenant, old=old, release=make_versions(tenant, "2.0"), group=group, name="first")
    second = make_started(tenant=tenant, old=old, release=make_versions(tenant, "3.0"), group=group, name="second")

    tick(second)
    assert (states(first), states(second)) == (["offered"], ["waiting"])
    succeed(in_turn(first)[0])
    tick(second, at(hours=1))
    assert (states(first), states(second)) == (["soaking"], ["waiting"])
    tick(first, NOON + SOAK)
    tick(second, NOON + SOAK)

    assert (states(first), states(second)) == (["succeeded"], ["offered"])
    assert Attempt.objects.get(assignment__campaign=second).number == 2


def test_a_vehicle_that_no_longer_fits_when_its_turn_comes_is_superseded_and_refilled():
    campaign = make_started(vehicles=3, waves=(34, 100))
    first = in_turn(campaign)[0]
    install(first.vehicle, campaign.release)

    tick(campaign)
    tick(campaign)

    assert states(campaign) == ["superseded", "offered", "offered"]
    first.refresh_from_db()
    assert first.code == "already_there"


def test_a_resumed_campaign_offers_again_what_was_withdrawn_and_its_limits_count_anew():
    campaign = make_running(vehicles=3, max_failed=0)
    failing, heard, _ = in_turn(campaign)
    fail(failing)
    tick(campaign)
    operations.confirm_withdrawal(heard.vehicle, at=at(minutes=1))

    with pytest.raises(errors.ReasonMissingError):
        operations.resume_campaign(campaign, by="bob", at=at(minutes=2))
    operations.resume_campaign(campaign, by="bob", at=at(minutes=2), reason="A known workshop car.")
    tick(campaign, at(minutes=3))

    assert campaign.state == "running"
    assert wave_states(campaign) == ["open"]
    assert states(campaign) == ["failed", "offered", "withdrawing"]
    assert [a.number for a in heard.attempts.order_by("number")] == [1, 2]
    fail(heard, at=at(minutes=4))
    tick(campaign, at(minutes=5))
    assert campaign.state == "halted"


def test_a_test_that_was_overruled_starts_from_nothing():
    campaign = make_running(vehicles=6, wave_failures=10)
    for assignment in in_turn(campaign)[:4]:
        fail(assignment)
    tick(campaign, NOON + SOAK)

    operations.resume_campaign(campaign, by="bob", at=NOON + SOAK, reason="Cause found.")
    tick(campaign, NOON + SOAK)

    state = GateState.objects.get()
    assert (campaign.state, state.statistic, state.failures) == ("running", 0, 4)


class KilledError(BaseException):
    pass


def killed_at(number):
    """A database that takes this many statements and then is gone, once."""
    seen = count()

    def execute(run, sql, params, many, context):
        if next(seen) == number:
            raise KilledError
        return run(sql, params, many, context)

    return connection.execute_wrapper(execute)


@pytest.mark.django_db(transaction=True)
def test_a_tick_killed_at_any_statement_leaves_nothing_half_done():
    campaign = make_running(vehicles=6, waves=(34, 100), wave_failures=9)
    fail(in_turn(campaign)[0])
    report(in_turn(campaign)[1], "finished", "refused")
    models = (Campaign, Assignment, Attempt, Wave, GateState, Decision, Direction, Entry)
    before = [list(model.objects.order_by("pk").values()) for model in models]

    for number in count():
        try:
            with killed_at(number):
                operations.advance_campaign(campaign.pk, at=NOON + SOAK)
            break
        except KilledError:
            assert [list(model.objects.order_by("pk").values()) for model in models] == before

    assert number > 20
    assert states(campaign) == ["failed", "refused", "offered", "offered", "waiting", "waiting"]


def test_a_campaign_that_is_not_under_way_does_not_move():
    campaign = make_campaign(vehicles=1)

    assert operations.advance_campaign(campaign.pk, at=NOON) is False
    assert operations.advance_campaign(0, at=NOON) is False


def test_one_slow_vehicle_does_not_hide_the_failures_of_the_others():
    campaign = make_running(vehicles=12, soak_seconds=1800, wave_failures=99)
    first, *others = in_turn(campaign)
    report(first, "installing")
    for assignment in others:
        fail(assignment, at=at(minutes=1))

    tick(campaign, at(minutes=32))

    assert (campaign.state, campaign.gate_states.get().failures) == ("halted", 4)
    first.refresh_from_db()
    assert (first.state, first.is_judged) == ("installing", False)
    assert queries.replay(campaign).differences == []


def test_a_failure_budget_that_is_used_up_asks_a_person_though_the_test_has_passed():
    rates = {"acceptable_rate": 0.05, "unacceptable_rate": 0.3}
    campaign = make_running(vehicles=60, waves=(50, 100), failure_budget=1, **rates)
    for number, assignment in enumerate(in_turn(campaign, "offered")):
        (fail if number in (3, 9) else succeed)(assignment, at=at(minutes=number))

    tick(campaign, NOON + SOAK + timedelta(hours=1))

    assert campaign.gate_states.get().has_passed
    assert wave_states(campaign) == ["undecided", "waiting"]
    said = Decision.objects.get(kind="wave.undecided").sentence
    assert said == "2 vehicles failed; the failure budget is 1."
