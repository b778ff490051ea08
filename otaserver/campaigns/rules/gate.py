"""The gate: halts a campaign by evidence (DESIGN.md, "Gates").

A sequential probability ratio test (A. Wald, 1945) asks of the outcomes so far whether the failure rate is acceptable
(p0) or unacceptable (p1). Once it has passed, a CUSUM over the outcomes that follow guards the campaign to its end.
Outcomes must be fed in the order of installation start, each at the same age; fed as they arrive, failures come before
successes, and healthy campaigns halt.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from otaserver.campaigns.states import GateVerdict

# The rest is the guard's. Its limit grows with the logarithm only, so it needs the smaller part; with this split and
# the defaults four failures in a row halt the pool, beside strata too.
TEST_SHARE_OF_ALPHA = 0.75
POOL_SHARE_OF_ALPHA = 0.5


class Outcome(Enum):
    """What one vehicle's part in the campaign came to, at its maturity."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"
    UNSETTLED = "unsettled"


@dataclass(frozen=True)
class GatePlan:
    """What a campaign asks of its gate. Rates and error probabilities are fractions and hold for the whole campaign."""

    acceptable_rate: float
    unacceptable_rate: float
    alpha: float
    beta: float


@dataclass(frozen=True)
class GateTest:
    """One test, of the pool or of a stratum: what each outcome adds and where the limits are."""

    failure_step: float
    success_step: float
    halt_limit: float
    pass_limit: float
    guard_limit: float

    @property
    def clean_results_to_pass(self) -> int:
        """Return how many successes in a row, from the start, pass the test."""
        return math.ceil(self.pass_limit / self.success_step)


class Standing(NamedTuple):
    """Where a test stands; one is made for each outcome."""

    successes: int = 0
    failures: int = 0
    statistic: float = 0.0
    has_passed: bool = False
    guard_statistic: float = 0.0


@dataclass(frozen=True)
class Reading:
    """What a test says, with the statistic that says it and the limit that it is held against."""

    verdict: GateVerdict
    statistic: float
    limit: float
    is_guard: bool


def alpha_share(stratum: str, strata: int) -> float:
    """Return which part of alpha belongs to one test, so that all of a campaign's tests together keep to it.

    The pool is the stratum `""`. With fewer than two strata there is the pool alone.
    """
    if strata < 2:
        return 1.0
    return POOL_SHARE_OF_ALPHA if stratum == "" else (1 - POOL_SHARE_OF_ALPHA) / strata


def make_test(plan: GatePlan, *, share: float, planned_results: int) -> GateTest:
    """Return the test that keeps to `share` of the plan's alpha while it reads up to `planned_results` outcomes.

    The guard may begin to rise at any of them, each rise reaching a limit h by chance with a probability of at most
    e^-h (Ville's inequality): ln(N/alpha) keeps all of them together to alpha.
    """
    p0, p1 = plan.acceptable_rate, plan.unacceptable_rate
    alpha = plan.alpha * share
    test_alpha, guard_alpha = alpha * TEST_SHARE_OF_ALPHA, alpha * (1 - TEST_SHARE_OF_ALPHA)
    return GateTest(
        failure_step=math.log(p1 / p0),
        success_step=math.log((1 - p1) / (1 - p0)),
        halt_limit=math.log((1 - plan.beta) / test_alpha),
        pass_limit=math.log(plan.beta / (1 - test_alpha)),
        guard_limit=math.log(max(planned_results, 1) / guard_alpha),
    )


def take(test: GateTest, standing: Standing, *, is_failure: bool) -> Standing:
    """Return where the test stands after one more outcome."""
    step = test.failure_step if is_failure else test.success_step
    statistic, has_passed, guard = standing.statistic, standing.has_passed, standing.guard_statistic
    if has_passed:
        guard = max(0.0, guard + step)
    else:
        statistic += step
        has_passed = statistic <= test.pass_limit
    return Standing(standing.successes + (not is_failure), standing.failures + is_failure, statistic, has_passed, guard)


def judge(test: GateTest, standing: Standing) -> Reading:
    """Return what the test says where it stands: once passed, the guard speaks."""
    if standing.has_passed:
        has_halted = standing.guard_statistic >= test.guard_limit
        verdict = GateVerdict.HALT if has_halted else GateVerdict.PASS
        return Reading(verdict, standing.guard_statistic, test.guard_limit, is_guard=True)
    verdict = GateVerdict.HALT if standing.statistic >= test.halt_limit else GateVerdict.UNDECIDED
    return Reading(verdict, standing.statistic, test.halt_limit, is_guard=False)


@dataclass(frozen=True)
class Folding:
    """Where each test stands after the outcomes that were read, how many those were, and which test halted, if any."""

    standings: Mapping[str, Standing]
    read: int
    halted: str | None = None


def fold(
    tests: Mapping[str, GateTest], standings: Mapping[str, Standing], outcomes: Sequence[tuple[str, Outcome]]
) -> Folding:
    """Read matured outcomes, in order, each with its stratum, into the pool's test (`""`) and the stratum's own.

    Stops before the first that is unsettled: reading past it would feed the quick failures behind it before its own,
    slower, success. Every assignment has a due time, so that it blocks for a bounded time. Stops after one that halts.
    """
    standing = dict(standings)
    for index, (stratum, outcome) in enumerate(outcomes):
        if outcome is Outcome.UNSETTLED:
            return Folding(standing, index)
        if outcome is Outcome.NEUTRAL:
            continue
        halted = None
        # The stratum last: where both halt, it tells more.
        for name in ("", stratum) if stratum in tests and stratum else ("",):
            standing[name] = take(tests[name], standing[name], is_failure=outcome is Outcome.FAILURE)
            if outcome is Outcome.FAILURE and judge(tests[name], standing[name]).verdict is GateVerdict.HALT:
                halted = name
        if halted is not None:
            return Folding(standing, index + 1, halted)
    return Folding(standing, len(outcomes))


def readable(
    tests: Mapping[str, GateTest], standings: Mapping[str, Standing], outcomes: Sequence[tuple[str, Outcome]]
) -> Sequence[int]:
    """Return the places of the outcomes to read now: all before the first that is unsettled.

    Beyond it those alone that make a halt certain, whatever the unsettled come to: it would follow anyway, so that it
    errs no more often for coming now. Without this one slow vehicle would hide the failures of all others.
    """
    blocked = next((place for place, (_, outcome) in enumerate(outcomes) if outcome is Outcome.UNSETTLED), None)
    if blocked is None:
        return range(len(outcomes))
    before = fold(tests, standings, outcomes[:blocked])
    behind = [_told(tests, stratum, outcome) for stratum, outcome in outcomes[blocked:]]
    certain = None if before.halted is not None else certain_halt(tests, before.standings, behind)
    return range(blocked) if certain is None else settled(outcomes[: blocked + certain])


def settled(outcomes: Sequence[tuple[str, Outcome]]) -> Sequence[int]:
    """Return the places of the outcomes that are settled."""
    return [place for place, (_, outcome) in enumerate(outcomes) if outcome is not Outcome.UNSETTLED]


def _told(tests: Mapping[str, GateTest], stratum: str, outcome: Outcome) -> Sequence[tuple[str, bool]]:
    """Return which tests an outcome tells, and whether of a failure, at best."""
    if outcome is Outcome.NEUTRAL:
        return ()
    return [(name, outcome is Outcome.FAILURE) for name in sorted({"", stratum} & tests.keys())]


def certain_halt(
    tests: Mapping[str, GateTest], standings: Mapping[str, Standing], vehicles: Iterable[Sequence[tuple[str, bool]]]
) -> int | None:
    """Return how many of these vehicles halt, each with the tests that it tells and whether of a failure; or None.

    Of one that is unsettled the best is told: a failure or nothing in its place would leave the evidence no lower.
    A test that they would let pass proves nothing more here.
    """
    lowest = {
        name: standing.guard_statistic if standing.has_passed else standing.statistic
        for name, standing in standings.items()
    }
    for count, told in enumerate(vehicles, start=1):
        for name, is_failure in told:
            if name not in lowest:
                continue
            test, is_guard = tests[name], standings[name].has_passed
            lowest[name] += test.failure_step if is_failure else test.success_step
            if is_guard:
                lowest[name] = max(0.0, lowest[name])
            elif lowest[name] <= test.pass_limit:
                del lowest[name]
                continue
            if is_failure and lowest[name] >= (test.guard_limit if is_guard else test.halt_limit):
                return count
    return None


def begin_anew(standing: Standing) -> Standing:
    """Return where a test stands after a person overruled its halt: counts stay, evidence starts from nothing."""
    return standing._replace(statistic=standing.statistic if standing.has_passed else 0.0, guard_statistic=0.0)
