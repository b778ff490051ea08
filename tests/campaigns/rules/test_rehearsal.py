import random

import pytest

from otaserver.campaigns.rules.gate import GatePlan
from otaserver.campaigns.rules.rehearsal import Member, RehearsedWave, Script, Truth, rehearse

PLAN = GatePlan(acceptable_rate=0.005, unacceptable_rate=0.02, alpha=0.01, beta=0.05)
HOUR = 3600.0
DAY = 24 * HOUR
SOAK = 8 * HOUR


def members(count, **fields):
    return [Member(**fields) for _ in range(count)]


def parked(count, seed=1):
    """Vehicles that are heard of about once a day, a few of them never."""
    rng = random.Random(seed)
    return [Member(hears_after=None if rng.random() < 0.02 else rng.expovariate(1 / DAY)) for _ in range(count)]


def script(*waves, max_failed=0, **fields):
    return Script(
        fields.pop("plan", PLAN),
        [RehearsedWave(wave, max_failed) for wave in waves],
        soak_seconds=fields.pop("soak_seconds", SOAK),
        **fields,
    )


def test_a_healthy_campaign_ends_each_wave_when_its_last_vehicle_has_soaked():
    played = rehearse(script(members(10), members(90)), Truth(rate=0, success_seconds=600), seed=1)

    assert (played.wave_ends, played.asked, played.halted_by) == ([SOAK, 2 * SOAK], [], None)
    assert (played.installed, played.broken, played.unreached) == (100, 0, 0)


def test_the_same_seed_gives_the_same_rehearsal():
    given = script(parked(50), parked(200, seed=2))

    assert rehearse(given, Truth(0.02), seed=3) == rehearse(given, Truth(0.02), seed=3)
    assert rehearse(given, Truth(0.02), seed=3) != rehearse(given, Truth(0.02), seed=4)


def test_a_release_that_always_fails_is_halted_by_the_pool_when_its_failures_are_mature():
    played = rehearse(script(members(6), members(100)), Truth(rate=1), seed=1)

    assert (played.halted_by, played.halted_at, played.broken) == ("", SOAK, 6)


def test_silent_vehicles_do_not_hide_the_failures_of_the_others():
    given = script(members(20), soak_seconds=600.0)

    played = rehearse(given, Truth(rate=1, silent_share=0.3), seed=1)

    assert (played.halted_by, played.halted_at) == ("", 600.0)


def test_a_hard_limit_halts_before_anything_is_mature():
    given = Script(PLAN, [RehearsedWave(members(20))], SOAK, max_failed=3)

    played = rehearse(given, Truth(rate=1, failure_seconds=300), seed=1)

    assert (played.halted_by, played.halted_at, played.broken) == ("max_failed", 300.0, 4)


def test_a_fault_of_one_hardware_is_found_in_its_stratum():
    mixed = [Member(stratum="b" if number % 20 == 0 else "a") for number in range(4000)]
    played = rehearse(script(mixed[:400], mixed[400:]), Truth(rate=0, rates={"b": 0.5}), seed=1)

    assert played.halted_by == "b"


def test_a_release_that_turns_bad_after_the_pass_is_halted_by_the_guard():
    played = rehearse(
        script(members(400), members(4000), max_in_flight=100),
        Truth(rate=0, turns_bad_after=1000, later_rate=0.2),
        seed=1,
    )

    assert played.halted_by == ""
    assert 1000 < played.installed < 1300


def test_vehicles_that_are_never_heard_of_hold_a_wave_until_their_offer_ends():
    played = rehearse(script([*members(9), Member(hears_after=None)]), Truth(0), seed=1)

    assert (played.wave_ends, played.installed, played.unreached) == ([14 * DAY], 9, 1)


def test_a_wave_passes_by_its_own_results_though_a_vehicle_of_it_is_away():
    first, second = [*members(500), Member(hears_after=None)], members(500)

    played = rehearse(script(first, second), Truth(0), seed=1)

    assert (played.wave_ends, played.unreached) == ([SOAK, 2 * SOAK], 1)


def test_a_wave_without_enough_results_of_its_own_waits_for_all_of_its_vehicles():
    waves = members(500), [*members(20), Member(hears_after=None)], members(10)

    assert rehearse(script(*waves), Truth(0), seed=1).wave_ends == [SOAK, SOAK + 14 * DAY, 2 * SOAK + 14 * DAY]


def test_at_the_campaigns_end_who_waits_is_settled_and_no_further_wave_opens():
    given = script([*members(5), *members(3, hears_after=None)], members(4), ends_after=2 * DAY)

    played = rehearse(given, Truth(0), seed=1)

    assert (played.wave_ends, played.installed, played.unreached) == ([2 * DAY], 5, 3)


def test_bytes_an_hour_hold_by_what_each_vehicle_fetches():
    given = script([*members(4, length=100), *members(4, length=50)], bytes_per_hour=100, soak_seconds=60.0)

    assert rehearse(given, Truth(0), seed=1).load == {0: 100, 1: 100, 2: 100, 3: 100, 4: 100, 5: 100}


def test_pace_spreads_offers_and_load_over_time():
    played = rehearse(script(members(240), offers_per_minute=1, bytes_each=1000, soak_seconds=60.0), Truth(0), seed=1)

    assert played.load == dict.fromkeys(range(4), 60000)


def test_no_more_are_in_flight_than_the_plan_allows():
    played = rehearse(script(members(30), max_in_flight=10), Truth(0), seed=1)

    assert played.wave_ends == [3 * SOAK]


def test_vehicles_wait_for_their_window():
    def at_night(zone, moment):
        opens = {"UTC": 22 * HOUR, "Asia/Tokyo": 13 * HOUR}[zone]
        return max(opens, moment)

    played = rehearse(
        script([*members(5), *members(5, zone="Asia/Tokyo")], soak_seconds=HOUR), Truth(0), seed=1, opens_at=at_night
    )

    assert played.wave_ends == [23 * HOUR]


def test_a_window_that_never_opens_again_lets_the_vehicle_lapse():
    played = rehearse(script(members(3)), Truth(0), seed=1, opens_at=lambda zone, moment: None)

    assert (played.installed, played.unreached, played.wave_ends) == (0, 3, [21 * DAY])


def test_more_failures_than_a_wave_allows_ask_a_person():
    played = rehearse(script(members(20), members(20), plan=GatePlan(0.1, 0.2, 0.01, 0.05)), Truth(0.2), seed=1)

    assert (played.asked, played.wave_ends) == ([SOAK, 2 * SOAK], [SOAK, 2 * SOAK])


@pytest.mark.parametrize("weight", [1, 10])
def test_members_that_stand_for_several_vehicles_break_as_many(weight):
    count = 2000 // weight
    played = rehearse(script(members(count, weight=weight), plan=GatePlan(0.3, 0.6, 0.01, 0.05)), Truth(0.1), seed=1)

    assert played.installed == 2000
    assert 150 < played.broken < 250
