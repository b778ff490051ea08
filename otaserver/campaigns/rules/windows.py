"""Recurring windows by the clock on the vehicle's wall, as concrete intervals of UTC.

A window is open while a clock in the zone shows a time in it. So on the night on which an hour does not exist, a window
in that hour stays shut, and on the night on which it comes twice, the window is open both times.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = (1 << len(WEEKDAYS)) - 1
DAY_MINUTES = 24 * 60
MAX_WINDOWS = 20
# What an order lists at most: longer lists would only make every signature larger.
MAX_LISTED = 20
HORIZON = timedelta(days=14)
_STEP = timedelta(hours=1)
_DAY = timedelta(days=1)
# Every offset that a zone can have, in the steps in which zones differ.
_OFFSETS = [timezone(timedelta(minutes=minutes)) for minutes in range(-12 * 60, 14 * 60 + 1, 15)]


@dataclass(frozen=True, order=True)
class Interval:
    """From `start` up to, not including, `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Window:
    """Opens on each weekday of the mask (bit 0 is Monday) at `start_minute` after midnight, by the wall clock."""

    weekdays: int
    start_minute: int
    length_minutes: int


@dataclass(frozen=True)
class Listing:
    """What an order says of when it may be installed: None is at any time, an empty list never until it is renewed.

    `renew_at`: when it must be made anew, so that it does not run out; None: it is complete.
    """

    intervals: Sequence[Interval] | None
    renew_at: datetime | None
    # Until then blackouts, not the campaign's own windows, keep the vehicle from installing; None: they do not now.
    barred_until: datetime | None = None

    def is_open(self, at: datetime) -> bool:
        """Return whether the order may be installed at this moment."""
        return self.intervals is None or any(each.start <= at < each.end for each in self.intervals)


AT_ANY_TIME = Listing(None, None)


def windows_problem(windows: Sequence[Window]) -> str | None:
    """Return why these cannot be a campaign's windows, or None."""
    if len(windows) > MAX_WINDOWS:
        return f"A campaign has at most {MAX_WINDOWS} windows, not {len(windows)}."
    for window in windows:
        if not 1 <= window.weekdays <= EVERY_DAY:
            return f"A window opens on at least one of {', '.join(WEEKDAYS)}; weekdays {window.weekdays} never open."
        if not 0 <= window.start_minute < DAY_MINUTES:
            return f"A window starts 0 to {DAY_MINUTES - 1} minutes after midnight, not {window.start_minute}."
        if not 1 <= window.length_minutes <= DAY_MINUTES:
            return f"A window is 1 to {DAY_MINUTES} minutes long; {window.length_minutes} never opens or never shuts."
    if len(set(windows)) < len(windows):
        return "A window is listed twice."
    return None


def narrows(before: Sequence[Window], after: Sequence[Window]) -> bool:
    """Return whether `after` is open at no time of the week at which `before` is not; no windows are open always."""
    return not before or (bool(after) and _minutes(after) <= _minutes(before))


def _minutes(windows: Sequence[Window]) -> set[int]:
    """Return the minutes of the week, on the wall, in which one of the windows is open."""
    week = DAY_MINUTES * len(WEEKDAYS)
    starts = [
        (day * DAY_MINUTES + window.start_minute, window.length_minutes)
        for window in windows
        for day in range(len(WEEKDAYS))
        if window.weekdays >> day & 1
    ]
    return {(start + minute) % week for start, length in starts for minute in range(length)}


def ever_open(windows: Sequence[Window], start: datetime, end: datetime) -> bool:
    """Return whether any vehicle in the world sees one of the windows open between two instants."""
    # In eight days each weekday has come, whatever the zone.
    until = min(end, start + 8 * _DAY)
    return any(openings(windows, zone, start, until) for zone in _OFFSETS)


def is_open(windows: Iterable[Window], zone: tzinfo, at: datetime) -> bool:
    """Return whether a clock in the zone shows a time in one of the windows."""
    return _shows(list(windows), at.astimezone(zone).replace(tzinfo=None))


def _shows(windows: Sequence[Window], wall: datetime) -> bool:
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (midnight, midnight - _DAY):
        minutes = (wall - day) / timedelta(minutes=1)
        for window in windows:
            begins = window.start_minute
            if window.weekdays >> day.weekday() & 1 and begins <= minutes < begins + window.length_minutes:
                return True
    return False


def openings(windows: Sequence[Window], zone: tzinfo, start: datetime, end: datetime) -> list[Interval]:
    """Return when the windows are open between two instants, in order, none touching the next."""
    found = []
    for segment, offset in _segments(zone, start, end):
        for wall in _on_the_wall(windows, segment.start + offset, segment.end + offset):
            found.append(Interval(wall.start - offset, wall.end - offset))
    return union(found)


def _segments(zone: tzinfo, start: datetime, end: datetime) -> Iterator[tuple[Interval, timedelta]]:
    """Cut the time between two instants where the zone's offset changes."""
    begun = cursor = start
    while cursor < end:
        following = min(cursor + _STEP, end)
        if _offset(zone, following) != _offset(zone, cursor):
            change = _change(zone, cursor, following)
            if begun < change:
                yield Interval(begun, change), _offset(zone, cursor)
            begun = change
        cursor = following
    if begun < end:
        yield Interval(begun, end), _offset(zone, begun)


def _change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """Return the first instant, to the microsecond, at which the offset is that of `after`."""
    old = _offset(zone, before)
    while after - before > timedelta(microseconds=1):
        middle = before + (after - before) / 2
        if _offset(zone, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: tzinfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _on_the_wall(windows: Sequence[Window], start: datetime, end: datetime) -> Iterator[Interval]:
    """Yield the parts of the windows between two times that a clock shows within one offset."""
    day = start.replace(hour=0, minute=0, second=0, microsecond=0) - _DAY
    while day < end:
        for window in windows:
            if window.weekdays >> day.weekday() & 1:
                opens = day + timedelta(minutes=window.start_minute)
                shuts = min(opens + timedelta(minutes=window.length_minutes), end)
                if max(opens, start) < shuts:
                    yield Interval(max(opens, start), shuts)
        day += _DAY


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same time as intervals in order, none touching the next."""
    joined: list[Interval] = []
    for each in sorted(intervals):
        if joined and each.start <= joined[-1].end:
            joined[-1] = Interval(joined[-1].start, max(joined[-1].end, each.end))
        else:
            joined.append(each)
    return joined


def without(intervals: Sequence[Interval], barred: Iterable[Interval]) -> list[Interval]:
    """Return the intervals without the barred time."""
    left = list(intervals)
    for bar in barred:
        left = [part for each in left for part in _cut(each, bar)]
    return left


def _cut(each: Interval, bar: Interval) -> Iterator[Interval]:
    if bar.end <= each.start or each.end <= bar.start:
        yield each
        return
    if each.start < bar.start:
        yield Interval(each.start, bar.start)
    if bar.end < each.end:
        yield Interval(bar.end, each.end)


def next_opening(windows: Sequence[Window], zone: tzinfo, at: datetime) -> Interval | None:
    """Return the opening that goes on or comes next, if there is one within the horizon."""
    return next(iter(openings(windows, zone, at, at + HORIZON)), None)


def listing(
    windows: Sequence[Window],
    zone: tzinfo | None,
    *,
    barred: Sequence[Interval],
    ends_at: datetime | None,
    at: datetime,
) -> Listing:
    """Return the instants at which an order made at `at` may be installed.

    `zone` None: nobody knows what the vehicle's clock shows, so that no window of it is ever open. `barred` are the
    blackouts that are for the vehicle, past ones too.
    """
    coming = [bar for bar in barred if bar.end > at]
    if not windows and not coming and ends_at is None:
        return AT_ANY_TIME
    horizon = at + HORIZON
    # Without windows or blackouts a campaign's end is all there is to say, however far it is.
    until = horizon if ends_at is None else ends_at if not windows and not coming else min(horizon, ends_at)
    open_at = [Interval(at, until)] if at < until else []
    if windows:
        # From a little earlier: an opening that goes on is stated from its beginning, the same whenever it is asked.
        open_at = openings(windows, zone, at - _DAY, until) if zone is not None and at < until else []
    left = [each for each in without(open_at, coming) if each.end > at]
    is_complete = until == ends_at and len(left) <= MAX_LISTED
    listed = left[:MAX_LISTED]
    covered = until if len(left) <= MAX_LISTED else listed[-1].end
    is_barred = any(bar.start <= at for bar in coming)
    resumes_at = left[0].start if left else until
    return Listing(
        listed, None if is_complete else at + (covered - at) / 2, resumes_at if is_barred and resumes_at > at else None
    )
