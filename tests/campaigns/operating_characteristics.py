"""`python -m tests.campaigns.operating_characteristics`: simulate the gate, and write its table into docs/gates.md.

Seeded, so that the same code gives the same table; the test beside it runs the same and holds the bounds.
"""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from tests.campaigns.simulated_campaigns import PLAN, Rate, Result, Setting, run

PAGE = Path(__file__).parents[2] / "docs" / "gates.md"
BEGIN, END = "<!-- simulated: begin -->", "<!-- simulated: end -->"
CONFIDENCE = 0.99
TWO_STRATA = (("common", 0.95), ("rare", 0.05))


@dataclass(frozen=True)
class Scenario:
    """A fleet, its true failure rate, and how many campaigns of it are run."""

    title: str
    campaigns: int
    setting: Setting
    rate: Rate


@dataclass(frozen=True)
class Row:
    """What came of a scenario."""

    scenario: Scenario
    results: Sequence[Result]

    @property
    def halts(self) -> int:
        return sum(result.halted is not None for result in self.results)

    @property
    def misses(self) -> int:
        return len(self.results) - self.halts

    @property
    def passes(self) -> int:
        return sum(result.has_passed for result in self.results)

    @property
    def broken(self) -> list[int]:
        return [result.broken for result in self.results if result.halted is not None]

    @property
    def read(self) -> list[int]:
        return [result.read for result in self.results if result.halted is not None]

    def halted_by(self, test: str) -> int:
        return sum(result.halted == f"gate {test}" for result in self.results)


P0, P1 = PLAN.acceptable_rate, PLAN.unacceptable_rate
SCENARIOS = {
    "acceptable": Scenario("0.5 %, acceptable", 2000, Setting(1000), lambda _, __: P0),
    "acceptable_strata": Scenario(
        "0.5 %, acceptable, two strata tested", 2000, Setting(600, strata=TWO_STRATA), lambda _, __: P0
    ),
    "unacceptable": Scenario("2 %, unacceptable", 1000, Setting(3000), lambda _, __: P1),
    "unacceptable_small": Scenario("2 %, in a fleet of 1,000", 600, Setting(1000), lambda _, __: P1),
    "five": Scenario("5 %", 500, Setting(3000), lambda _, __: 0.05),
    "twenty": Scenario("20 %", 500, Setting(3000), lambda _, __: 0.2),
    "twenty_limited": Scenario(
        "20 %, 50 in flight, 8 may fail", 500, Setting(3000, max_in_flight=50, max_failed=8), lambda _, __: 0.2
    ),
    "turns_bad": Scenario("0.2 %, then 20 % after the pass", 200, Setting(3000), lambda _, passed: _turned(passed)),
    "turns_bad_limited": Scenario(
        "the same, 100 in flight", 200, Setting(3000, max_in_flight=100), lambda _, passed: _turned(passed)
    ),
    "rare": Scenario(
        "20 % in a stratum of 5 %, else 0.2 %",
        300,
        Setting(3000, strata=TWO_STRATA),
        lambda stratum, _: 0.2 if stratum == "rare" else 0.002,
    ),
}


def _turned(passed: bool) -> float:
    return 0.2 if passed else 0.002


def simulate(scenario: Scenario, *, seed: int = 1) -> Row:
    """Run a scenario's campaigns, each from a seed of its own."""
    return Row(
        scenario,
        [
            run(scenario.setting, scenario.rate, random.Random(f"{seed} {scenario.title} {number}"))
            for number in range(scenario.campaigns)
        ],
    )


def at_most(count: int, tries: int) -> float:
    """Return the upper 99 % confidence bound of a share (C. Clopper, E. Pearson, 1934)."""
    if count == tries:
        return 1.0
    return _bisect(lambda rate: _binomial_tail(count, tries, rate) > 1 - CONFIDENCE)


def at_least(count: int, tries: int) -> float:
    """Return the lower 99 % confidence bound of a share."""
    return 1 - at_most(tries - count, tries)


def _binomial_tail(count: int, tries: int, rate: float) -> float:
    """Return the chance of at most `count` among `tries`."""
    logs = (
        math.lgamma(tries + 1) - math.lgamma(k + 1) - math.lgamma(tries - k + 1)
        + k * math.log(rate) + (tries - k) * math.log1p(-rate)
        for k in range(count + 1)
    )  # fmt: skip
    return sum(map(math.exp, logs))


def _bisect(is_below) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def table(rows: Sequence[Row]) -> str:
    """Return the rows as the table of docs/gates.md."""
    lines = [
        "| true failure rate | campaigns | halted | at 99 % confidence | broken at the halt: mean, 9 of 10 at most |",
        "|---|---|---|---|---|",
    ]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(row: Row) -> str:
    tries = len(row.results)
    bounds = f"{at_least(row.halts, tries):.2%} to {at_most(row.halts, tries):.2%}"
    broken = sorted(row.broken)
    told = f"{mean(broken):.1f}, {broken[math.ceil(0.9 * len(broken)) - 1]}" if broken else "-"
    return f"| {row.scenario.title} | {tries:,} | {row.halts / tries:.2%} | {bounds} | {told} |"


def in_page(text: str) -> str:
    """Return the table that stands in the page."""
    found = re.search(f"{re.escape(BEGIN)}\n(.*?)\n{re.escape(END)}", text, re.S)
    return found.group(1) if found else ""


def main() -> None:
    made = table([simulate(scenario) for scenario in SCENARIOS.values()])
    text = PAGE.read_text()
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{after}")


if __name__ == "__main__":
    main()
