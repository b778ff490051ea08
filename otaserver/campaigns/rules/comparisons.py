"""One signal's comparison, vehicle by vehicle: updated ones gather to a block, which one held-out vehicle closes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from otaserver.campaigns.rules import eprocess
from otaserver.campaigns.rules.eprocess import Block, Evidence


@dataclass(frozen=True)
class ComparisonTest:
    """What a comparison halts by: the rates it bets on, its part of alpha, and the updated vehicles of a block."""

    acceptable_rate: float
    unacceptable_rate: float
    alpha: float
    treated_per_block: int

    @property
    def limit(self) -> float:
        """Return what the logarithm of the evidence must reach to halt."""
        return eprocess.halt_limit(self.alpha)


@dataclass(frozen=True)
class Comparison:
    """Where it stands: the evidence of its blocks, and the updated vehicles that are gathered for the next."""

    evidence: Evidence = field(default_factory=Evidence)
    pending_good: int = 0
    pending_bad: int = 0


def gather(comparison: Comparison, *, is_bad: bool) -> Comparison:
    """Return where it stands with one more updated vehicle."""
    good, bad = comparison.pending_good + (not is_bad), comparison.pending_bad + is_bad
    return replace(comparison, pending_good=good, pending_bad=bad)


def is_full(test: ComparisonTest, comparison: Comparison) -> bool:
    """Return whether the block is to be closed now."""
    return comparison.pending_good + comparison.pending_bad >= test.treated_per_block


def close(test: ComparisonTest, comparison: Comparison, *, is_control_bad: bool | None) -> Comparison:
    """Return where it stands once the block is closed; None: there is nobody to compare it with, and it is dropped."""
    if is_control_bad is None:
        return Comparison(comparison.evidence)
    block = Block(comparison.pending_good, comparison.pending_bad, int(not is_control_bad), int(is_control_bad))
    rates = {"acceptable_rate": test.acceptable_rate, "unacceptable_rate": test.unacceptable_rate}
    return Comparison(eprocess.take(comparison.evidence, block, **rates))


def has_halted(test: ComparisonTest, comparison: Comparison) -> bool:
    """Return whether the evidence halts the campaign."""
    return comparison.evidence.log_value >= test.limit


def begin_anew(comparison: Comparison) -> Comparison:
    """Return where it stands after a person overruled its halt: counts stay, evidence starts from nothing."""
    return replace(comparison, evidence=replace(comparison.evidence, log_value=0.0))


def fold(
    test: ComparisonTest, comparison: Comparison, treated: Sequence[bool], controls: Sequence[bool | None]
) -> Comparison:
    """Return where it stands after these vehicles, their blocks closed by these controls in turn.

    Stops with a block that halts.

    Raises:
        ValueError: there are fewer controls than blocks, or more.
    """
    left = iter(controls)
    for is_bad in treated:
        comparison = gather(comparison, is_bad=is_bad)
        if not is_full(test, comparison):
            continue
        try:
            control = next(left)
        except StopIteration:
            raise ValueError("a block lacks its control") from None
        comparison = close(test, comparison, is_control_bad=control)
        # A dropped block changes nothing: what stood at the limit before it was left there by a person's word.
        if control is not None and has_halted(test, comparison):
            break
    if list(left):
        raise ValueError("there are more controls than blocks")
    return comparison
