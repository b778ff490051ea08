"""What a campaign's plan must be like before anyone reads it."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

NAME_MAX_LENGTH = 100
MAX_WAVES = 100


def name_problem(name: str) -> str | None:
    """Return why this cannot name a campaign, or None. It stands in signed metadata: printable ASCII."""
    if not 1 <= len(name) <= NAME_MAX_LENGTH or not name.isascii() or not name.isprintable() or name != name.strip():
        return f"A campaign's name is 1 to {NAME_MAX_LENGTH} printable ASCII characters; {name!r} is not."
    return None


def waves_problem(percents: Sequence[Decimal]) -> str | None:
    """Return why these cumulative percents cannot be a campaign's waves, or None."""
    if not 1 <= len(percents) <= MAX_WAVES:
        return f"A campaign has 1 to {MAX_WAVES} waves, not {len(percents)}."
    listed = ", ".join(str(percent) for percent in percents)
    if any(not percent.is_finite() or round(percent, 3) != percent for percent in percents):
        return f"Percents have at most three decimals; {listed} are not so."
    if percents[0] <= 0 or any(later <= earlier for earlier, later in pairwise(percents)):
        return f"The waves' cumulative percents must rise from above 0; {listed} do not."
    if percents[-1] != 100:
        return f"The last wave must reach 100 percent, not {percents[-1]}."
    return None


def gate_problem(*, acceptable_rate: float, unacceptable_rate: float, alpha: float, beta: float) -> str | None:
    """Return why no test can be made of these rates and error probabilities, or None."""
    if not 0 < acceptable_rate < unacceptable_rate < 1:
        return f"Rates must be 0 < acceptable < unacceptable < 1, not {acceptable_rate} and {unacceptable_rate}."
    if not (0 < alpha < 0.5 and 0 < beta < 0.5):
        return f"Error probabilities must lie between 0 and 0.5, not {alpha} and {beta}."
    return None
