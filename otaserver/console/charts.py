"""The geometry of the console's drawings; templates draw them as SVG, in the colours of the page."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from otaserver.campaigns.queries import Course, EvidencePath, FleetReleases, KeptForecast
from otaserver.campaigns.queries.fleet_releases import NOTHING
from otaserver.campaigns.rules.evidence import Point
from otaserver.campaigns.rules.prospects import Tally

Scale = Callable[[float], float]
WIDTH = 640
# Room for the numbers beside the axis, and for the words at the limits.
LEFT, RIGHT, TOP, BOTTOM = 52, 76, 12, 24


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where it is, and what stands beside it."""

    place: float
    label: str
    value: int


@dataclass(frozen=True)
class Limit:
    """A line that evidence is held against."""

    kind: str
    y: float
    begins: float
    value: float
    label_y: float


@dataclass(frozen=True)
class GateChart:
    """Evidence between "pass" and "halt", one step for each result that has matured."""

    path: EvidencePath
    height: int
    right: float
    bottom: float
    zero: float
    limits: Sequence[Limit]
    test: str
    guard: str
    end: tuple[float, float]
    ticks: Sequence[Tick]
    width: int = WIDTH
    left: float = LEFT


@dataclass(frozen=True)
class Block:
    """One bar, or a part of one."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    at: datetime
    value: int


@dataclass(frozen=True)
class BarChart:
    """Bars over time."""

    height: int
    right: float
    bottom: float
    blocks: Sequence[Block]
    ticks: Sequence[Tick]
    most: int
    first: datetime
    last: datetime
    # What was expected in each bar's time, as a line of steps; empty where nothing was.
    expected: str = ""
    width: int = WIDTH
    left: float = LEFT


def gate_chart(path: EvidencePath, *, height: int = 300) -> GateChart:
    """Return the drawing of one test: its way, and its limits as far as they hold."""
    points, view = path.points, path.view
    most = max(points[-1].results, view.clean_results_to_pass if not view.is_guard else 0, 10)
    top = max([path.halt_limit, *([path.guard_limit] if view.is_guard else []), *(p.statistic for p in points)]) * 1.12
    low = min([path.pass_limit, *(p.statistic for p in points)]) * 1.12
    right, bottom = WIDTH - RIGHT, height - BOTTOM

    def x(results: float) -> float:
        return round(LEFT + (right - LEFT) * results / most, 1)

    def y(statistic: float) -> float:
        return round(TOP + (bottom - TOP) * (top - statistic) / (top - low), 1)

    passed_at = next((p.results for p in points if p.is_guard), None)
    ends = x(passed_at) if passed_at is not None else right
    limits = [Limit("pass", y(path.pass_limit), LEFT, path.pass_limit, y(path.pass_limit) + 4)]
    if passed_at is None:
        limits.append(Limit("halt", y(path.halt_limit), LEFT, path.halt_limit, y(path.halt_limit) + 4))
    else:
        limits.append(Limit("halt", y(path.guard_limit), ends, path.guard_limit, y(path.guard_limit) + 4))
    last = points[-1]
    return GateChart(
        path=path,
        height=height,
        right=right,
        bottom=bottom,
        zero=y(0),
        limits=limits,
        test=_line([(x(p.results), y(p.statistic)) for p in points if not p.is_guard] + _crossing(points, path, x, y)),
        guard=_line([(x(p.results), y(p.statistic)) for p in points if p.is_guard]),
        end=(x(last.results), y(last.statistic)),
        ticks=[Tick(x(value), f"{value:,}", value) for value in _round_values(most)],
    )


def _crossing(points: Sequence[Point], path: EvidencePath, x: Scale, y: Scale) -> list[tuple[float, float]]:
    """Return where the test has passed: there the guard begins from nothing."""
    passed = next((p for p in points if p.is_guard), None)
    return [] if passed is None else [(x(passed.results), y(path.pass_limit))]


def outcome_chart(course: Course, forecast: KeptForecast | None = None, *, height: int = 150) -> BarChart:
    """Return the ends of vehicles' parts over time, stacked by kind, with as many as were to be expected."""
    stacks = [
        (bar.at, (("failed", bar.failed), ("neutral", bar.neutral), ("succeeded", bar.succeeded)))
        for bar in course.bars
    ]
    return _bars(stacks, [tally.ended for tally in _expected(course, forecast)], height, course)


def load_chart(course: Course, forecast: KeptForecast | None = None, *, height: int = 150) -> BarChart:
    """Return the bytes that vehicles were sent to fetch over time, with as many as were to be expected."""
    stacks = [(bar.at, (("load", bar.length),)) for bar in course.bars]
    drawn = _bars(stacks, [tally.length for tally in _expected(course, forecast)], height, course)
    return replace(drawn, ticks=[replace(tick, label=in_bytes(tick.value)) for tick in drawn.ticks])


def _expected(course: Course, forecast: KeptForecast | None) -> Sequence[Tally]:
    """Return what was to happen in each bar of a course if the release is as good as is acceptable."""
    if forecast is None:
        return []
    prospect = forecast.outlooks[0].prospect
    reached = [prospect.by(n * course.width.total_seconds()) for n in range(len(course.bars) + 1)]
    return [after - before for before, after in pairwise(reached)]


def _bars(
    stacks: Sequence[tuple[datetime, Sequence[tuple[str, int]]]],
    expected: Sequence[float],
    height: int,
    course: Course,
) -> BarChart:
    right, bottom = WIDTH - 12, height - BOTTOM
    step = (right - LEFT) / len(stacks)
    most = max([sum(value for _, value in parts) for _, parts in stacks] + [math.ceil(each) for each in expected] + [1])
    scale = (bottom - TOP) / most
    blocks = [block for place, stack in enumerate(stacks) for block in _stacked(place, stack, step, scale, bottom)]
    steps = [
        (round(LEFT + (place + side) * step, 1), round(bottom - value * scale, 1))
        for place, value in enumerate(expected)
        for side in (0, 1)
    ]
    ticks = [Tick(round(bottom - value * scale, 1), f"{value:,}", value) for value in _round_values(most, wanted=3)]
    last = course.bars[-1].at + course.width
    return BarChart(height, right, bottom, blocks, ticks, most, course.starts_at, last, _line(steps))


def _stacked(
    place: int, stack: tuple[datetime, Sequence[tuple[str, int]]], step: float, scale: float, bottom: float
) -> list[Block]:
    (at, parts), floor, blocks = stack, float(bottom), []
    for kind, value in parts:
        if not value:
            continue
        # What happened must be seen, however little it was.
        tall = max(value * scale, 1.5)
        floor -= tall
        x = round(LEFT + place * step + 0.5, 1)
        blocks.append(Block(kind, x, round(floor, 1), round(max(step - 1, 1), 1), round(tall, 1), at, value))
    return blocks


def in_bytes(value: float) -> str:
    """Return so many bytes in the largest unit of which they are one or more, in powers of a thousand."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if value >= size:
            return f"{round(value / size, 1):g} {unit}"
    return f"{round(value):g} B"


def _line(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _round_values(most: int, *, wanted: int = 6) -> list[int]:
    """Return a few round numbers from 0 to `most`."""
    rough = most / wanted
    power = 10 ** math.floor(math.log10(rough)) if rough >= 1 else 1
    step = next(int(m * power) for m in (1, 2, 5, 10) if m * power >= rough)
    return list(range(0, most + 1, max(step, 1)))


@dataclass(frozen=True)
class Band:
    """One release's share of the fleet over time, as a polygon."""

    label: str
    number: int
    points: str
    vehicles: int


@dataclass(frozen=True)
class FleetChart:
    """A fleet by release over time, stacked, the newest release at the bottom."""

    height: int
    right: float
    bottom: float
    bands: Sequence[Band]
    ticks: Sequence[Tick]
    first: datetime
    last: datetime
    width: int = WIDTH
    left: float = LEFT


# More releases than there are colours are told apart by the list beside.
COLOURS = 6


def fleet_chart(fleet: FleetReleases, *, height: int = 200) -> FleetChart:
    """Return the drawing of a fleet by release; what is no release comes on top."""
    right, bottom = WIDTH - 12, height - BOTTOM
    most = max([sum(moment.vehicles.values()) for moment in fleet.moments] + [1])
    across = (right - LEFT) / max(len(fleet.moments) - 1, 1)
    floors = [0.0] * len(fleet.moments)
    bands = []
    labelled = [(release.pk, str(release)) for release in fleet.releases]
    for number, (pk, label) in enumerate([*labelled, (NOTHING, "")]):
        tops = [floor + moment.vehicles.get(pk, 0) for floor, moment in zip(floors, fleet.moments, strict=True)]
        if tops != floors:
            outline = [*enumerate(tops), *reversed(list(enumerate(floors)))]
            drawn = [
                (round(LEFT + n * across, 1), round(bottom - value * (bottom - TOP) / most, 1)) for n, value in outline
            ]
            colour = min(number, COLOURS - 1) if pk != NOTHING else COLOURS
            bands.append(Band(label, colour, _line(drawn), fleet.now.get(pk, 0)))
        floors = tops
    ticks = [
        Tick(round(bottom - value * (bottom - TOP) / most, 1), f"{value:,}", value)
        for value in _round_values(most, wanted=4)
    ]
    return FleetChart(height, right, bottom, bands, ticks, fleet.moments[0].at, fleet.moments[-1].at)
