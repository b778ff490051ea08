import time
from datetime import timedelta
from threading import Lock

from clients.fleet.schedule import RealSchedule, VirtualClock, run_virtual
from tests.factories import NOON


def turns_every(seconds, log, clock, name):
    def turn():
        log.append((name, clock()))
        return seconds

    return turn


def run(turns, clock, *, until, tick=lambda: None, tick_seconds=60.0, is_done=lambda: False, spread_seconds=0.0):
    run_virtual(
        turns,
        clock,
        until=until,
        spread_seconds=spread_seconds,
        tick=tick,
        tick_seconds=tick_seconds,
        is_done=is_done,
    )


def test_vehicles_take_turns_in_the_order_of_the_virtual_clock():
    clock, log = VirtualClock(NOON), []

    run(
        [turns_every(10, log, clock, "a"), turns_every(25, log, clock, "b")],
        clock,
        until=NOON + timedelta(seconds=30),
    )

    assert [(name, (at - NOON).total_seconds()) for name, at in log] == [
        ("a", 0),
        ("b", 0),
        ("a", 10),
        ("a", 20),
        ("b", 25),
    ]


def test_ticks_come_on_time_between_turns_and_the_run_ends_when_done():
    clock, ticks = VirtualClock(NOON), []

    run(
        [turns_every(100, [], clock, "a")],
        clock,
        until=NOON + timedelta(hours=1),
        tick=lambda: ticks.append((clock() - NOON).total_seconds()),
        tick_seconds=15,
        is_done=lambda: len(ticks) == 5,
    )

    assert ticks == [0, 15, 30, 45, 60]


def test_a_vehicle_that_goes_silent_gets_no_more_turns_and_ticks_go_on():
    clock, log, ticks = VirtualClock(NOON), [], []

    run(
        [turns_every(None, log, clock, "a")],
        clock,
        until=NOON + timedelta(seconds=50),
        tick=lambda: ticks.append(1),
        tick_seconds=10,
    )

    assert (len(log), len(ticks)) == (1, 6)


def test_first_turns_are_spread():
    clock, log = VirtualClock(NOON), []

    run(
        [turns_every(None, log, clock, name) for name in "abcd"],
        clock,
        until=NOON + timedelta(minutes=5),
        spread_seconds=40,
    )

    assert [(at - NOON).total_seconds() for _, at in log] == [0, 10, 20, 30]


def test_the_virtual_clock_never_goes_back_and_sleep_moves_it():
    clock = VirtualClock(NOON)
    clock.advance_to(NOON - timedelta(hours=1))
    clock.sleep(2.5)

    assert clock() == NOON + timedelta(seconds=2.5)


def test_a_real_schedule_gives_every_vehicle_turns_and_never_two_at_once_to_one():
    lock, counts, running, overlaps = Lock(), [0] * 5, set(), []

    def turn_of(index):
        def turn():
            with lock:
                if index in running:
                    overlaps.append(index)
                running.add(index)
            time.sleep(0.002)
            with lock:
                running.discard(index)
                counts[index] += 1
            return 0.0 if index else None

        return turn

    schedule = RealSchedule([turn_of(index) for index in range(5)], clock=time.monotonic, threads=3, spread_seconds=0)
    schedule.start()
    deadline = time.monotonic() + 20
    while min(counts[1:]) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    schedule.stop()

    assert counts[0] == 1
    assert min(counts[1:]) >= 3
    assert overlaps == []
