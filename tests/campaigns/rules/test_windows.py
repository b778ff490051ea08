from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otaserver.campaigns.rules import windows
from otaserver.campaigns.rules.windows import EVERY_DAY, HORIZON, MAX_LISTED, Interval, Window

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Window(EVERY_DAY, 22 * 60, 8 * 60)
MINUTE = timedelta(minutes=1)
ZONES = (
    "Africa/Casablanca",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "UTC",
)
# Days about which clocks change, in one of these zones: forward, back, by half an hour, by a whole day.
CHANGES = [
    datetime(2026, 3, 8, tzinfo=UTC),
    datetime(2026, 3, 29, tzinfo=UTC),
    datetime(2026, 4, 5, tzinfo=UTC),
    datetime(2026, 10, 4, tzinfo=UTC),
    datetime(2026, 10, 25, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
    datetime(2011, 12, 30, tzinfo=UTC),
    datetime(2026, 2, 15, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=UTC),
]


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def shows(listed, zone, at):
    """Whether a clock on the wall shows a time in one of the windows: said a second time, another way."""
    wall = at.astimezone(zone)
    for window in listed:
        for days_ago in (0, 1):
            day = wall.date() - timedelta(days=days_ago)
            minute = wall.hour * 60 + wall.minute + 1440 * days_ago
            is_on = (window.weekdays >> day.weekday()) % 2 == 1
            if is_on and window.start_minute <= minute < window.start_minute + window.length_minutes:
                return True
    return False


any_window = st.builds(
    Window, st.integers(1, EVERY_DAY), st.integers(0, 1439), st.one_of(st.integers(1, 1440), st.just(1440))
)


@settings(max_examples=150, deadline=None)
@given(
    listed=st.lists(any_window, min_size=1, max_size=3),
    zone=st.sampled_from(ZONES),
    day=st.sampled_from(CHANGES),
    begins=st.integers(-36 * 60, 24 * 60),
    minutes=st.integers(1, 48 * 60),
)
def test_openings_are_what_a_clock_shows_minute_by_minute(listed, zone, day, begins, minutes):
    start, zone = day + begins * MINUTE, ZoneInfo(zone)
    found = windows.openings(listed, zone, start, start + minutes * MINUTE)

    open_minutes = {each.start + n * MINUTE for each in found for n in range(int((each.end - each.start) / MINUTE))}
    all_minutes = [start + n * MINUTE for n in range(minutes)]
    assert open_minutes == {at for at in all_minutes if shows(listed, zone, at)}
    assert [at for at in all_minutes if windows.is_open(listed, zone, at) != (at in open_minutes)] == []
    assert all(earlier.end < later.start for earlier, later in pairwise(found))


def test_a_window_in_an_hour_that_does_not_exist_stays_shut_that_night():
    gap = Window(EVERY_DAY, 2 * 60, 60)

    assert windows.openings([gap], BERLIN, utc(2026, 3, 28), utc(2026, 3, 31)) == [
        Interval(utc(2026, 3, 28, 1), utc(2026, 3, 28, 2)),
        Interval(utc(2026, 3, 30, 0), utc(2026, 3, 30, 1)),
    ]


def test_a_window_in_an_hour_that_comes_twice_is_open_both_times():
    fold = Window(EVERY_DAY, 2 * 60, 60)

    assert windows.openings([fold], BERLIN, utc(2026, 10, 25), utc(2026, 10, 26)) == [
        Interval(utc(2026, 10, 25, 0), utc(2026, 10, 25, 2))
    ]


def test_a_night_is_an_hour_shorter_in_spring_and_longer_in_autumn():
    spring = windows.openings([NIGHT], BERLIN, utc(2026, 3, 28, 12), utc(2026, 3, 29, 12))
    autumn = windows.openings([NIGHT], BERLIN, utc(2026, 10, 24, 12), utc(2026, 10, 25, 12))

    assert [each.end - each.start for each in spring + autumn] == [timedelta(hours=7), timedelta(hours=9)]


def test_whole_days_join_into_one_opening():
    weekend = Window(0b1100000, 0, 1440)

    assert windows.openings([weekend], BERLIN, utc(2026, 6, 1), utc(2026, 6, 8)) == [
        Interval(utc(2026, 6, 5, 22), utc(2026, 6, 7, 22))
    ]


def test_a_day_that_was_left_out_of_the_calendar_opens_nothing():
    friday = Window(0b0010000, 0, 1440)

    # Samoa went from Thursday the 29th to Saturday the 31st of December 2011.
    assert windows.openings([friday], ZoneInfo("Pacific/Apia"), utc(2011, 12, 28), utc(2012, 1, 3)) == []


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([Window(0, 0, 60)], "weekdays 0 never open"),
        ([Window(128, 0, 60)], "weekdays 128 never open"),
        ([Window(1, 1440, 60)], "not 1440"),
        ([Window(1, -1, 60)], "not -1"),
        ([Window(1, 0, 0)], "0 never opens"),
        ([Window(1, 0, 1441)], "1441 never opens or never shuts"),
        ([NIGHT, NIGHT], "listed twice"),
        ([Window(1, n, 1) for n in range(21)], "not 21"),
    ],
)
def test_windows_that_never_open_are_refused_with_their_value(listed, said):
    assert said in windows.windows_problem(listed)
    assert windows.windows_problem([NIGHT, Window(1, 0, 1440)]) is None


NOW = utc(2026, 6, 1, 12)


def listing(listed=(), zone=BERLIN, barred=(), ends_at=None, at=NOW):
    return windows.listing(list(listed), zone, barred=barred, ends_at=ends_at, at=at)


def test_without_windows_blackouts_and_end_an_order_says_nothing_of_time():
    assert listing() == windows.AT_ANY_TIME
    assert listing(barred=[Interval(NOW - HORIZON, NOW)]) == windows.AT_ANY_TIME


def test_an_order_lists_two_weeks_and_is_renewed_after_one():
    made = listing([NIGHT])

    assert len(made.intervals) == 14
    assert made.intervals[0] == Interval(utc(2026, 6, 1, 20), utc(2026, 6, 2, 4))
    assert made.renew_at == NOW + HORIZON / 2


def test_an_opening_that_goes_on_is_listed_from_its_beginning():
    assert listing([NIGHT], at=utc(2026, 6, 2, 3)).intervals[0] == Interval(utc(2026, 6, 1, 20), utc(2026, 6, 2, 4))


def test_a_list_cut_short_is_renewed_before_it_is_used_up():
    hourly = [Window(EVERY_DAY, hour * 60, 30) for hour in range(12)]
    made = listing(hourly)

    assert len(made.intervals) == MAX_LISTED
    assert made.renew_at == NOW + (made.intervals[-1].end - NOW) / 2


def test_an_end_is_listed_whole_and_never_renewed():
    ends_at = NOW + timedelta(days=90)

    assert listing(ends_at=ends_at) == windows.Listing([Interval(NOW, ends_at)], None)
    assert listing(ends_at=NOW) == windows.Listing([], None)
    assert listing([NIGHT], ends_at=NOW + timedelta(hours=9)).intervals == [
        Interval(utc(2026, 6, 1, 20), utc(2026, 6, 1, 21))
    ]
    assert listing([NIGHT], ends_at=ends_at).renew_at == NOW + HORIZON / 2


def test_blackouts_are_cut_out():
    bar = Interval(utc(2026, 6, 1, 21), utc(2026, 6, 2, 2))
    made = listing([NIGHT], barred=[bar], ends_at=NOW + timedelta(days=1))

    assert made.intervals == [
        Interval(utc(2026, 6, 1, 20), utc(2026, 6, 1, 21)),
        Interval(utc(2026, 6, 2, 2), utc(2026, 6, 2, 4)),
    ]


def test_a_blackout_beyond_the_horizon_is_in_the_list_before_it_begins():
    bar = Interval(NOW + timedelta(days=20), NOW + timedelta(days=30))
    made = listing(barred=[bar])

    assert made.intervals == [Interval(NOW, NOW + HORIZON)]
    assert made.renew_at + HORIZON > bar.start
    later = listing(barred=[bar], at=made.renew_at)
    assert later.intervals == [Interval(made.renew_at, bar.start)]


def test_a_freeze_until_further_notice_lists_nothing_and_is_looked_at_again():
    bar = Interval(NOW - HORIZON, datetime.max.replace(tzinfo=UTC))

    barred_until = NOW + HORIZON

    assert listing([NIGHT], barred=[bar]) == windows.Listing([], NOW + HORIZON / 2, barred_until)
    assert listing(barred=[bar]) == windows.Listing([], NOW + HORIZON / 2, barred_until)


def test_no_window_opens_where_nobody_knows_the_time():
    assert listing([NIGHT], zone=None) == windows.Listing([], NOW + HORIZON / 2)


def test_the_next_opening_is_one_that_goes_on_or_the_one_that_follows():
    assert windows.next_opening([NIGHT], BERLIN, NOW) == Interval(utc(2026, 6, 1, 20), utc(2026, 6, 2, 4))
    assert windows.next_opening([NIGHT], BERLIN, utc(2026, 6, 2, 3)).start == utc(2026, 6, 2, 3)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10))),
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10))),
)
def test_what_is_left_is_what_is_listed_and_not_barred(listed, barred):
    def made(pairs):
        return [Interval(NOW + a * MINUTE, NOW + (a + b) * MINUTE) for a, b in pairs]

    def minutes(intervals):
        return {m for each in intervals for m in range(70) if each.start <= NOW + m * MINUTE < each.end}

    left = windows.without(windows.union(made(listed)), made(barred))

    assert minutes(left) == minutes(made(listed)) - minutes(made(barred))


def test_a_window_that_opens_nowhere_before_the_end_is_found():
    sunday = [Window(0b1000000, 12 * 60, 60)]
    monday_noon = utc(2026, 6, 1, 12)

    # Sunday noon comes first where clocks show 14 hours more than UTC, on Saturday at 22.
    assert not windows.ever_open(sunday, monday_noon, utc(2026, 6, 6, 22))
    assert windows.ever_open(sunday, monday_noon, utc(2026, 6, 6, 22, 1))
    assert windows.ever_open(sunday, monday_noon, utc(2028, 1, 1))
