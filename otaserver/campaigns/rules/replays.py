"""Deciding again: from the inputs that a decision of the engine was stored with, by the rules that decided it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from otaserver.campaigns.rules import comparisons, gate, late_strata, limits, waves
from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState, GateVerdict, WaveRule, WaveState

Inputs = Mapping[str, Any]
_UNSETTLED = ACTIVE_STATES | {AssignmentState.WAITING, AssignmentState.SOAKING}


@dataclass(frozen=True)
class Verdict:
    """What follows from inputs: a kind of decision (empty: none), and the facts that stand in it."""

    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)


NONE = Verdict("")


def limit(inputs: Inputs) -> Verdict:
    """Return what follows from the failures that a halt by a limit saw, or from packages that are not published."""
    if "unpublished" in inputs:
        return Verdict("limit.halted") if inputs["unpublished"] else NONE
    set_to = inputs["limits"]
    breach = limits.first_breach(
        limits.Limits(set_to["max_failed"], set_to["max_verification_failed"], frozenset(set_to["halt_codes"])),
        inputs["failures"],
        inputs["reporters"],
    )
    if breach is None:
        return NONE
    return Verdict("limit.halted", {"limit": breach.limit, "found": breach.found, "allowed": breach.allowed})


def wave(inputs: Inputs) -> Verdict:
    """Return what follows for a wave from its results, from its own evidence, or from having no vehicle."""
    if inputs["basis"] == "nobody":
        empty = waves.judge_empty(group=inputs["group"], is_anyone_left=inputs["is_anyone_left"])
        return Verdict(f"wave.{empty.state}", {"sentence": empty.sentence})
    if inputs["basis"] == "evidence":
        is_enough = inputs["has_passed"] and inputs["left"] and inputs["judged"] >= inputs["needed"]
        return Verdict("wave.passed") if is_enough else NONE
    results = waves.WaveResults(**{each.name: inputs[each.name] for each in fields(waves.WaveResults)})
    found = waves.judge_wave(
        results,
        has_passed=inputs["has_passed"],
        rule=WaveRule(inputs["rule"]),
        max_failed=inputs["max_failed"],
        failure_budget=inputs["failure_budget"],
    )
    if found.state == WaveState.PASSED and inputs["unjudged"]:
        return Verdict("wave.undecided", {"sentence": inputs["unjudged"]})
    return Verdict(f"wave.{found.state}", {"sentence": found.sentence})


def opening(inputs: Inputs) -> Verdict:
    """Return how many vehicles a wave takes in as it opens."""
    wanted = waves.taken_in(places=inputs["places"], left=inputs["left"], is_last=inputs["is_last"])
    return Verdict("wave.opened", {"vehicles": wanted})


def refill(inputs: Inputs) -> Verdict:
    """Return what a wave takes in place of neutral ends."""
    wanted = waves.refill(
        places=inputs["places"], counting=inputs["counting"], in_vain=inputs["in_vain"], left=inputs["left"]
    )
    return Verdict("wave.refilled", {"vehicles": wanted}) if wanted else NONE


def completion(inputs: Inputs) -> Verdict:
    """Return whether a campaign with so many vehicles in each state is at its end."""
    return NONE if any(inputs["counts"].get(state) for state in _UNSETTLED) else Verdict("campaign.completed")


def gate_test(inputs: Inputs) -> gate.GateTest:
    """Return the test that a decision of the gate was made by."""
    own = late_strata.alpha_share(
        inputs["stratum"], known=inputs["strata"], place=inputs["late_place"], takes_in=inputs["takes_in"]
    )
    plan, share = gate.GatePlan(**inputs["plan"]), own * inputs["outcome_share"]
    return gate.make_test(plan, share=share, planned_results=inputs["planned_results"])


def signal_test(inputs: Inputs) -> gate.GateTest:
    """Return the test that a decision of a signal was made by."""
    plan, share = gate.GatePlan(**inputs["plan"]), inputs["alpha_share"]
    return gate.make_test(plan, share=share, planned_results=inputs["planned_results"])


def comparison_test(inputs: Inputs) -> comparisons.ComparisonTest:
    """Return the test that a decision of a comparison was made by."""
    return comparisons.ComparisonTest(**inputs["comparison_test"])


def gate_verdict(kind: str, test: gate.GateTest, before: gate.Standing, after: gate.Standing) -> Verdict:
    """Return what a test says that a reading brought from one standing to another.

    One reading may let it pass and then, by the guard, halt: `kind` is which of the two is asked for.
    """
    reading = gate.judge(test, after)
    facts = {"before": before._asdict(), "successes": after.successes, "failures": after.failures}
    if kind == "gate.halted" and reading.verdict is GateVerdict.HALT:
        said = {"statistic": reading.statistic, "limit": reading.limit, "is_guard": reading.is_guard}
        return Verdict("gate.halted", facts | said)
    if kind == "gate.passed" and after.has_passed and not before.has_passed:
        return Verdict("gate.passed", facts | {"statistic": after.statistic, "limit": test.pass_limit})
    return NONE


def comparison_verdict(
    test: comparisons.ComparisonTest, before: comparisons.Comparison, after: comparisons.Comparison
) -> Verdict:
    """Return what a comparison says that a reading brought from one standing to another."""
    if not comparisons.has_halted(test, after):
        return NONE
    found = after.evidence
    facts = {
        "before": asdict(before),
        "treated": found.treated_good + found.treated_bad,
        "treated_bad": found.treated_bad,
        "control": found.control_good + found.control_bad,
        "control_bad": found.control_bad,
        "statistic": found.log_value,
        "limit": test.limit,
    }
    return Verdict("control.halted", facts)


# The engine's decisions that are verdicts by their own inputs alone.
BY_INPUTS: Mapping[str, Callable[[Inputs], Verdict]] = {
    "limit.halted": limit,
    "wave.opened": opening,
    "wave.passed": wave,
    "wave.undecided": wave,
    "wave.refilled": refill,
    "campaign.completed": completion,
}
