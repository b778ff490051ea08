"""Waves: how large, when refilled, and what follows when the test has not decided."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from otaserver.campaigns.states import WaveRule, WaveState

# 95 % in both tails, as in "Wilson 95 %".
_Z = 1.959963984540054


@dataclass(frozen=True)
class WaveVerdict:
    """What becomes of a wave whose results are all in, and why."""

    state: WaveState
    sentence: str


@dataclass(frozen=True)
class WaveResults:
    """What a wave brought, and the campaign it stands in. `next_places` is 0 when nobody is left.

    `unfilled` are places without a result which the wave may not refill, though vehicles are left.
    """

    wave_failures: int
    wave_results: int
    campaign_failures: int
    campaign_results: int
    next_places: int
    unfilled: int = 0


@dataclass(frozen=True)
class Size:
    """How large a wave is to be: exactly one of a cumulative percent, a number, or `group` (the name of one)."""

    percent: Decimal | None = None
    count: int | None = None
    group: str | None = None

    def __str__(self) -> str:
        if self.percent is not None:
            return f"{self.percent.normalize():f} %"
        return f"group {self.group}" if self.group is not None else f"{self.count} vehicles"


def planned_places(sizes: Sequence[Size], *, bulk: int, grouped: Mapping[int, int]) -> list[int]:
    """Return how many vehicles each wave takes.

    `grouped`: how many are reserved for each group's wave, by its number (from 1); `bulk`: how many are for no such
    wave. Percents count the bulk alone, and what waves by number have taken of it before.
    """
    taken, found = 0, []
    for number, size in enumerate(sizes, start=1):
        if size.percent is None and size.count is None:
            found.append(grouped.get(number, 0))
            continue
        end = taken + size.count if size.count is not None else math.ceil(bulk * (size.percent or 0) / 100)
        end = max(taken, min(end, bulk))
        found.append(end - taken)
        taken = end
    return found


def swallowed(sizes: Sequence[Size], places: Sequence[int], *, bulk: int) -> str | None:
    """Return why these waves do not add up in a fleet of that size, in a sentence, or None.

    A percent that is used up by the waves by number before it is a plan that says two things. In a fleet so small that
    the percents of two waves are the same vehicle, later waves may be empty all the same.
    """
    problem = unmanned(sizes, places)
    if problem is not None:
        return problem
    taken = 0
    for number, (size, own) in enumerate(zip(sizes, places, strict=True), start=1):
        if size.percent is not None and own == 0 and any(other.count for other in sizes[: number - 1]):
            end = math.ceil(bulk * size.percent / 100)
            if taken >= end:
                return f"Wave {number} ends at {size}, {end} of {bulk} vehicles, and {taken} had their turn before it."
        if size.count is not None and own < size.count:
            return f"Wave {number} is to take {size.count} vehicles, and {own} are left of {bulk}."
        if size.group is None:
            taken += own
    return None


def unmanned(sizes: Sequence[Size], places: Sequence[int]) -> str | None:
    """Return which wave is for a group of which nobody takes part, in a sentence, or None.

    Whoever names a group wants these very vehicles tried first: without them all others would be next, untried.
    """
    for number, (size, own) in enumerate(zip(sizes, places, strict=True), start=1):
        if size.group is not None and own == 0:
            return (
                f"Wave {number} is for group {size.group}, and none of it takes part: a member counts that is in the "
                "campaign's group, fits the release and is in no earlier wave's group."
            )
    return None


def judge_empty(*, group: str | None, is_anyone_left: bool) -> WaveVerdict:
    """Return what becomes of a wave that opens to nobody; `group`: the name of the one that it is for.

    In a small fleet some waves get nobody: there is nothing to learn in them, and nothing to ask a person.
    """
    if group is not None and is_anyone_left:
        return _ask(f"None of group {group} is left for this wave, and others would follow untried.")
    return WaveVerdict(WaveState.PASSED, "There is no vehicle for this wave.")


def next_places(planned: Sequence[int], *, left: int) -> int:
    """Return how many vehicles the next wave that has any takes of those `left`, from the places of all that follow.

    The last one takes everybody who is left.
    """
    return next((min(places, left) for places in planned[:-1] if places), left if planned else 0)


def taken_in(*, places: int, left: int, is_last: bool) -> int:
    """Return how many vehicles a wave takes in as it opens: the last one everybody who is left."""
    return left if is_last else min(places, left)


def refill(*, places: int, counting: int, in_vain: int, left: int) -> int:
    """Return how many further vehicles a wave takes, for those whose end counts neither way.

    A wave tries at most twice as many vehicles as it has places: a release that ends neutrally everywhere must not go
    through the whole fleet unseen. `counting` are its vehicles that have, or may still come to, a result; `in_vain`
    those that were heard of and ended neutrally. One that lapsed unheard (parked, out of reach) met nothing of the
    release and uses up no try. `left` had no turn yet.
    """
    return max(0, min(places - counting, 2 * places - counting - in_vain, left))


def may_exhaust_tries(*, places: int, missing: int, replaced: int) -> bool:
    """Return whether a wave may have used up its tries, however many of its neutral ends were in vain.

    `replaced`: how many others stand in already. Below this `in_vain` needs no counting.
    """
    return replaced + missing > places


def room(*, max_in_flight: int | None, in_flight: int, chunk: int) -> int:
    """Return how many vehicles may be offered the release now, at most a chunk of them.

    In flight is everything offered whose outcome is not known, the soak included: what may yet turn out broken.
    """
    return chunk if max_in_flight is None else max(0, min(chunk, max_in_flight - in_flight))


def wilson(failures: int, results: int) -> tuple[float, float]:
    """Return the Wilson 95 % interval of a failure rate: for display and sizing, never for halting."""
    if results == 0:
        return 0.0, 1.0
    rate, square = failures / results, _Z * _Z
    centre = (rate + square / (2 * results)) / (1 + square / results)
    half = _Z / (1 + square / results) * math.sqrt(rate * (1 - rate) / results + square / (4 * results**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def judge_wave(
    results: WaveResults, *, has_passed: bool, rule: WaveRule, max_failed: int, failure_budget: int | None
) -> WaveVerdict:
    """Return what becomes of a wave whose vehicles are all settled and whose outcomes the gate has read.

    A passed test lets the campaign go on within the failure budget, unless too many ended neither way. Before it
    decides, the wave's own rule holds; where that cannot vouch for the next wave, a person decides.
    """
    if failure_budget is not None and results.campaign_failures > failure_budget:
        return _ask(f"{results.campaign_failures} vehicles failed; the failure budget is {failure_budget}.")
    if results.unfilled:
        return _ask(f"Too many ended neither way: {results.unfilled} places have no result, after as many tries again.")
    if has_passed:
        return WaveVerdict(WaveState.PASSED, "The test has passed.")
    if results.wave_failures > max_failed:
        return _ask(f"{results.wave_failures} of the wave failed; at most {max_failed} may.")
    if results.next_places == 0:
        return WaveVerdict(WaveState.PASSED, "Failures stayed within the limit, and nobody is left.")
    if rule == WaveRule.ASK:
        return _ask("The test has not decided, and the plan asks a person then.")
    if results.wave_results == 0:
        return _ask("No vehicle of the wave came to a result.")
    if failure_budget is not None:
        worst = _worst_case(results)
        if worst > failure_budget:
            return _ask(f"After the next wave up to {worst} may have failed; the failure budget is {failure_budget}.")
    return WaveVerdict(WaveState.PASSED, "Failures stayed within the limit.")


def _ask(sentence: str) -> WaveVerdict:
    return WaveVerdict(WaveState.UNDECIDED, sentence)


def _worst_case(results: WaveResults) -> int:
    _, upper = wilson(results.campaign_failures, results.campaign_results)
    return results.campaign_failures + math.ceil(upper * results.next_places)
