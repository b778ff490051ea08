"""What a figure is: our rate over that of a bare baseline, run in alternation, as the median over pairs.

A machine's absolute speed moves by a factor of two or three from minute to minute; what two neighbouring runs have in
common cancels out of their ratio. More is better in every figure.
"""

import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

PAIRS = 7  # fewer are good for trying, not for quoting

FLEET = "BENCH_VEHICLES"

Rates = Mapping[str, float]  # what one run did per second (of wall or of CPU time), by case


@dataclass(frozen=True)
class Figure:
    """One row of the result. `met` is None where no goal is set."""

    bench: str
    case: str
    ratio_median: float
    ratio_min: float
    ratio_max: float
    pairs: int
    goal: float | None
    met: bool | None


def fleet_size(usual: int, *, least: int = 1) -> int:
    """Return how many vehicles the environment asks for; SystemExit where that is no number, or too small a one."""
    given = os.environ.get(FLEET) or str(usual)
    if not given.isdecimal() or int(given) < least:
        raise SystemExit(f"{FLEET} is {given!r}: a number from {least} on.")
    return int(given)


def figures(
    bench: str, *, ours: Callable[[], Rates], bare: Callable[[], Rates], pairs: int, goals: Mapping[str, float | None]
) -> list[Figure]:
    """Run both in alternation and return one figure per case, in the order of `goals`."""
    runs = {"ours": ours, "bare": bare}
    done = []
    for first, second in turns(pairs):
        rates = {first: runs[first](), second: runs[second]()}
        done.append((rates["ours"], rates["bare"]))
    return [
        summarise(bench, case, [of_ours[case] / of_bare[case] for of_ours, of_bare in done], goal)
        for case, goal in goals.items()
    ]


def turns(pairs: int) -> Iterator[tuple[str, str]]:
    """Yield who runs first and second in each pair: by turns, so that a drift of the machine favours neither."""
    for number in range(pairs):
        yield ("bare", "ours") if number % 2 == 0 else ("ours", "bare")


def summarise(bench: str, case: str, ratios: Sequence[float], goal: float | None) -> Figure:
    """Return the figure of these ratios, one per pair: the median of the ratios, not the ratio of medians."""
    median = statistics.median(ratios)
    return Figure(
        bench=bench,
        case=case,
        ratio_median=median,
        ratio_min=min(ratios),
        ratio_max=max(ratios),
        pairs=len(ratios),
        goal=goal,
        met=None if goal is None else median >= goal,
    )
