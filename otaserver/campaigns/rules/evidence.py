"""The way that a test's evidence has taken, outcome by outcome, for people to see."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from otaserver.campaigns.rules import gate
from otaserver.campaigns.rules.gate import Outcome

MAX_POINTS = 300


@dataclass(frozen=True)
class Point:
    """Where a test stood after so many results. Before `is_guard` the test speaks, from there on its guard."""

    results: int
    statistic: float
    is_guard: bool


def advance(test: gate.GateTest, standing: gate.Standing, *, is_failure: bool, count: int) -> gate.Standing:
    """Return where `count` equal outcomes in a row lead: as `gate.take` so many times, without taking each."""
    if is_failure or standing.has_passed or count < 2:
        return _straight(test, standing, is_failure=is_failure, count=count)
    to_pass = max(math.ceil((test.pass_limit - standing.statistic) / test.success_step), 1)
    if count < to_pass:
        return _straight(test, standing, is_failure=False, count=count)
    standing = _straight(test, standing, is_failure=False, count=to_pass)
    # What rounding leaves undecided, one outcome more decides.
    rest = count - to_pass
    if rest and not standing.has_passed:
        standing, rest = gate.take(test, standing, is_failure=False), rest - 1
    return _straight(test, standing, is_failure=False, count=rest)


def _straight(test: gate.GateTest, standing: gate.Standing, *, is_failure: bool, count: int) -> gate.Standing:
    step = count * (test.failure_step if is_failure else test.success_step)
    counted = standing._replace(
        successes=standing.successes + (0 if is_failure else count),
        failures=standing.failures + (count if is_failure else 0),
    )
    if standing.has_passed:
        return counted._replace(guard_statistic=max(0.0, standing.guard_statistic + step))
    statistic = standing.statistic + step
    return counted._replace(statistic=statistic, has_passed=statistic <= test.pass_limit)


class Way:
    """Follows one test through its outcomes."""

    def __init__(self, test: gate.GateTest) -> None:
        self._test = test
        self._standing = gate.Standing()
        self._points = [Point(0, 0.0, is_guard=False)]

    def read(self, runs: Iterable[tuple[Outcome, int]]) -> None:
        """Take outcomes, as runs of equal ones; neutral ones leave it where it is."""
        for outcome, count in runs:
            if outcome is Outcome.NEUTRAL or not count:
                continue
            is_failure = outcome is Outcome.FAILURE
            self._standing = advance(self._test, self._standing, is_failure=is_failure, count=count)
            self._mark()

    def begin_anew(self) -> None:
        """Take a person's word that it starts from nothing."""
        self._standing = gate.begin_anew(self._standing)
        self._mark()

    def points(self) -> Sequence[Point]:
        """Return the way so far, thinned out evenly where it has very many points; the last always stands."""
        step = -(-len(self._points) // MAX_POINTS)
        kept = self._points[::step]
        return kept if kept[-1] == self._points[-1] else [*kept, self._points[-1]]

    def _mark(self) -> None:
        now = self._standing
        statistic = now.guard_statistic if now.has_passed else now.statistic
        self._points.append(Point(now.successes + now.failures, statistic, now.has_passed))
