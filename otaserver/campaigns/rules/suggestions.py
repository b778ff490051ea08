"""A plan's waves from a failure budget: how many vehicles may break before a person is asked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from otaserver.campaigns.rules import gate
from otaserver.campaigns.rules.waves import Size, wilson

MIN_GROWTH = 3
MAX_GROWTH = 5


@dataclass(frozen=True)
class Suggestion:
    """Waves for a fleet, and why they are so, in sentences."""

    sizes: Sequence[Size]
    reasons: Sequence[str]


def inputs_problem(*, fleet: int, failure_budget: int, growth: int) -> str | None:
    """Return why no waves can be suggested for this, in a sentence, or None."""
    if fleet < 1:
        return "No vehicle of the group fits the release: there is nothing to divide into waves."
    if failure_budget < 1:
        return f"A failure budget is at least 1 vehicle, not {failure_budget}: without any no release comes out."
    if not MIN_GROWTH <= growth <= MAX_GROWTH:
        return f"Waves grow by a factor of {MIN_GROWTH} to {MAX_GROWTH}, not {growth}."
    return None


def suggest(test: gate.GateTest, *, fleet: int, failure_budget: int, growth: int) -> Suggestion:
    """Return waves for a fleet of that size, by what the wave's rule and the gate will say of them.

    The first is so small that the budget holds even if all of it breaks. While the test has not decided, a next wave
    takes no more than what the budget bears at the upper end of the failure rate (Wilson, 95 %) after clean results so
    far, or the wave's rule would ask a person; once clean results pass the test, waves grow by the factor alone.
    """
    passing = test.clean_results_to_pass
    counts = [min(failure_budget, fleet)]
    reasons = [
        f"The first wave is {_vehicles(counts[0])}: even if all of them break, the budget of {failure_budget} holds."
    ]
    passes_after = 0
    while (done := sum(counts)) < fleet:
        has_passed = done >= passing
        if has_passed and not passes_after:
            passes_after = len(counts)
        wanted = counts[-1] * growth
        if not has_passed:
            wanted = min(wanted, max(math.floor(failure_budget / wilson(0, done)[1]), 1))
        counts.append(min(wanted, fleet - done))
    if len(counts) > 1:
        reasons.append(
            f"Each next wave is up to {growth} times the one before; until the test has passed, no larger than "
            f"{failure_budget} failures allow at the upper end of the failure rate (Wilson, 95 %) after clean results."
        )
    reasons += _reasons(counts, passing=passing, passes_after=passes_after)
    reasons.append(f"The last wave takes all who are left, of {_vehicles(fleet)} that fit now.")
    # Whoever joins until the start belongs to the last wave.
    return Suggestion([*(Size(count=count) for count in counts[:-1]), Size(percent=Decimal(100))], reasons)


def _reasons(counts: Sequence[int], *, passing: int, passes_after: int) -> list[str]:
    if passes_after:
        return [
            f"If all goes well, wave {passes_after} ends with {sum(counts[:passes_after])} results, and {passing} in a "
            "row pass the test: from there on the guard watches."
        ]
    return [
        f"{passing} results in a row pass the test; before the last wave there are at most {sum(counts[:-1])}: until "
        "then each wave goes by its own rule."
    ]


def _vehicles(count: int) -> str:
    return "1 vehicle" if count == 1 else f"{count} vehicles"
