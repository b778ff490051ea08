"""Treated against control: an anytime-valid test of two groups by blocks.

R. Turner, A. Ly, P. Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional
stopping" (2024). Each block holds some treated and some control outcomes. Before it is seen, an alternative is named
from the blocks before it; the block's e-value is its likelihood under that alternative, over the likelihood under the
one rate that lies between (the alternative's projection on equal rates). Where the treated are not worse, its mean is
at most 1, whatever the rates are. So the product may be looked at after every block: it ever reaches 1/alpha by chance
with a probability of at most alpha (Ville's inequality). A z-test looked at repeatedly has no such bound.
"""

import math
from dataclasses import dataclass

# How many vehicles' worth the stated rates count before any block has been seen.
PRIOR_WEIGHT = 40.0


@dataclass(frozen=True)
class Block:
    """Outcomes that are compared together: how many of each side were good and bad."""

    treated_good: int
    treated_bad: int
    control_good: int
    control_bad: int


@dataclass(frozen=True)
class Evidence:
    """What the blocks so far held in all, and the logarithm of the product of their e-values."""

    treated_good: int = 0
    treated_bad: int = 0
    control_good: int = 0
    control_bad: int = 0
    log_value: float = 0.0


@dataclass(frozen=True)
class Alternative:
    """The rates that the next block is bet on."""

    treated: float
    control: float


def halt_limit(alpha: float) -> float:
    """Return what the logarithm of the evidence must reach to halt, erring with a probability of at most alpha."""
    return -math.log(alpha)


def alternative(evidence: Evidence, *, acceptable_rate: float, unacceptable_rate: float) -> Alternative:
    """Return the alternative that the next block is bet on, from the blocks before it alone.

    At first that is the stated unacceptable rate against the acceptable one; then what was seen outweighs it.
    """
    treated = evidence.treated_good + evidence.treated_bad
    control = evidence.control_good + evidence.control_bad
    return Alternative(
        treated=(unacceptable_rate * PRIOR_WEIGHT + evidence.treated_bad) / (PRIOR_WEIGHT + treated),
        control=(acceptable_rate * PRIOR_WEIGHT + evidence.control_bad) / (PRIOR_WEIGHT + control),
    )


def log_e_value(block: Block, bet: Alternative) -> float:
    """Return the logarithm of a block's e-value. One-sided: where the treated look no worse, nothing is bet."""
    if bet.treated <= bet.control:
        return 0.0
    treated, control = block.treated_good + block.treated_bad, block.control_good + block.control_bad
    between = (treated * bet.treated + control * bet.control) / (treated + control)
    return (
        block.treated_bad * math.log(bet.treated / between)
        + block.treated_good * math.log((1 - bet.treated) / (1 - between))
        + block.control_bad * math.log(bet.control / between)
        + block.control_good * math.log((1 - bet.control) / (1 - between))
    )


def take(evidence: Evidence, block: Block, *, acceptable_rate: float, unacceptable_rate: float) -> Evidence:
    """Return the evidence after one more block."""
    bet = alternative(evidence, acceptable_rate=acceptable_rate, unacceptable_rate=unacceptable_rate)
    return Evidence(
        evidence.treated_good + block.treated_good,
        evidence.treated_bad + block.treated_bad,
        evidence.control_good + block.control_good,
        evidence.control_bad + block.control_bad,
        evidence.log_value + log_e_value(block, bet),
    )


def treated_per_block(*, treated: int, control: int) -> int:
    """Return how many treated vehicles stand against one of the control share, so that both last to the end."""
    return max(1, treated // control) if control else 0
