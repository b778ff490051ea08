"""What a campaign's plan must be like before anyone reads it."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from otaserver.campaigns.rules.waves import Size

NAME_MAX_LENGTH = 100
MAX_WAVES = 100
MAX_COUNT = 2**31 - 1
MAX_CONTROL_PERCENT = 50
# Beyond these the steps of a test vanish in a float, and its limits overflow; no fleet is large enough for them anyway.
MIN_RATE = 1e-6
MIN_RATE_RATIO = 1.01
MIN_ERROR = 1e-9


def name_problem(name: str, *, noun: str = "campaign") -> str | None:
    """Return why this cannot name a campaign, or None. It stands in signed metadata: printable ASCII."""
    if not 1 <= len(name) <= NAME_MAX_LENGTH or not name.isascii() or not name.isprintable() or name != name.strip():
        return f"A {noun}'s name is 1 to {NAME_MAX_LENGTH} printable ASCII characters; {name!r} is not."
    return None


def sizes_problem(sizes: Sequence[Size]) -> str | None:
    """Return why waves of these sizes cannot be a campaign's, or None."""
    if not 1 <= len(sizes) <= MAX_WAVES:
        return f"A campaign has 1 to {MAX_WAVES} waves, not {len(sizes)}."
    groups: list[str] = []
    for number, size in enumerate(sizes, start=1):
        said = [value for value in (size.percent, size.count, size.group) if value is not None]
        if len(said) != 1:
            return f"A wave says exactly one of percent, count and group; wave {number} says {len(said)} of them."
        if size.count is not None and not 1 <= size.count <= MAX_COUNT:
            return f"A wave takes 1 to {MAX_COUNT} vehicles; wave {number} says {size.count}."
        if size.group is not None and size.group in groups:
            return f"Wave {number} names the group {size.group} again: wave {groups.index(size.group) + 1} took it all."
        groups.append(size.group or "")
    if sizes[-1].percent is None:
        return f"The last wave must reach 100 percent, for all who are left, not {sizes[-1]}."
    return percents_problem([size.percent for size in sizes if size.percent is not None])


def percents_problem(percents: Sequence[Decimal]) -> str | None:
    """Return why these cumulative percents cannot be those of a campaign's waves, or None."""
    listed = ", ".join(str(percent) for percent in percents)
    if any(not percent.is_finite() or round(percent, 3) != percent for percent in percents):
        return f"Percents have at most three decimals; {listed} are not so."
    if percents[0] <= 0 or any(later <= earlier for earlier, later in pairwise(percents)):
        return f"The waves' cumulative percents must rise from above 0; {listed} do not."
    if percents[-1] != 100:
        return f"The last wave must reach 100 percent, not {percents[-1]}."
    return None


def control_problem(percent: Decimal) -> str | None:
    """Return why this share of vehicles cannot be held out, or None."""
    if not percent.is_finite() or round(percent, 3) != percent or not 0 <= percent <= MAX_CONTROL_PERCENT:
        return f"The control share is 0 to {MAX_CONTROL_PERCENT} percent with at most three decimals, not {percent}."
    return None


def gate_problem(*, acceptable_rate: float, unacceptable_rate: float, alpha: float, beta: float) -> str | None:
    """Return why no test can be made of these rates and error probabilities, or None."""
    if not MIN_RATE <= acceptable_rate < unacceptable_rate <= 1 - MIN_RATE:
        return (
            f"Rates must be {MIN_RATE} <= acceptable < unacceptable <= {1 - MIN_RATE}, "
            f"not {acceptable_rate} and {unacceptable_rate}."
        )
    if unacceptable_rate < MIN_RATE_RATIO * acceptable_rate:
        return (
            f"The unacceptable rate must be at least {MIN_RATE_RATIO} times the acceptable one; "
            f"{unacceptable_rate} is too near to {acceptable_rate}."
        )
    if not (MIN_ERROR <= alpha < 0.5 and MIN_ERROR <= beta < 0.5):
        return f"Error probabilities must be at least {MIN_ERROR} and less than 0.5, not {alpha} and {beta}."
    return None
