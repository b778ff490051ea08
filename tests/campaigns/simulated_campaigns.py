"""Whole campaigns on a virtual clock: vehicles that come when they come, and the gate's own rules that judge them.

The rules are those of the server (`rules.gate`, `rules.limits`, `rules.waves`); vehicles are drawn from a seed. What is
simulated beside them: when a vehicle begins, how it ends, when the server hears of it, and what a tick reads.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import log

from otaserver.campaigns.rules import gate, limits, waves
from otaserver.campaigns.rules.gate import GatePlan, Outcome, Standing
from otaserver.campaigns.states import WaveRule, WaveState

HOUR = 1.0
DAY = 24.0
SOAK = 8.0
INSTALL_TIMEOUT = 4.0
OFFER_TIMEOUT = 14 * DAY
# Of a fleet on the road: one in ten is parked for longer than an offer stands.
PARKED = 0.1
# Of the vehicles that break three in ten never say so: they count when the server gives them up.
SILENT = 0.3
# Of those that go well one in fifty proves itself only hours after its soak: it holds up those behind it.
LATE = 0.02
PLAN = GatePlan(acceptable_rate=0.005, unacceptable_rate=0.02, alpha=0.01, beta=0.05)


@dataclass(frozen=True)
class Setting:
    """A fleet, its waves and limits. `percents` are cumulative; `max_failed` as in a campaign's plan."""

    vehicles: int
    percents: tuple[str, ...] = ("2", "10", "40", "100")
    strata: tuple[tuple[str, float], ...] = ()  # name and share of the fleet; none: the pool alone
    max_in_flight: int = 1000
    begins_within_hours: float = 3.0  # on average, after the offer
    max_failed: int | None = None
    is_fed_as_they_arrive: bool = False  # what the gate must not do


@dataclass(slots=True)
class Vehicle:
    """One vehicle's part: when it begins to install, when its outcome is known, and what that is."""

    begins: float
    known: float
    outcome: Outcome
    stratum: str


@dataclass
class Result:
    """How a campaign ended: what halted it (None: nothing did), and how many vehicles it broke until then."""

    halted: str | None = None
    broken: int = 0
    read: int = 0
    has_passed: bool = False
    asked: int = 0


Rate = Callable[[str, bool], float]


@dataclass
class _Campaign:
    setting: Setting
    rate: Rate  # of a stratum, and whether the test has passed
    rng: random.Random
    result: Result = field(default_factory=Result)

    def __post_init__(self) -> None:
        strata = [name for name, _ in self.setting.strata]
        shares = {"": 1.0} | dict(self.setting.strata)
        self.tests = {
            name: gate.make_test(
                PLAN,
                share=gate.alpha_share(name, len(strata)),
                planned_results=max(1, round(shares[name] * self.setting.vehicles)),
            )
            for name in ["", *strata]
        }
        self.standings = dict.fromkeys(self.tests, Standing())
        self.limits = limits.Limits(self.setting.max_failed, max_verification_failed=0)
        self.ended: list[Vehicle] = []

    def run(self) -> Result:
        sizes = [waves.Size(percent=Decimal(percent)) for percent in self.setting.percents]
        planned = waves.planned_places(sizes, bulk=self.setting.vehicles, grouped={})
        now = 0.0
        for number, places in enumerate(planned):
            wave = self._begin(places, now)
            now = self._watch(wave)
            self.ended += wave
            if self.result.halted is not None:
                break
            self._end_wave(wave, planned[number + 1 :])
        self.result.has_passed = self.standings[""].has_passed
        return self.result

    def _begin(self, places: int, now: float) -> list[Vehicle]:
        """Draw the wave's vehicles. Parked ones are offered in vain, others take their places when they lapse."""
        begun: list[Vehicle] = []
        in_flight: list[float] = []
        starts = now
        while len(begun) < places:
            chunk = min(self.setting.max_in_flight, places - len(begun))
            here = [self._draw(starts) for _ in range(chunk) if self.rng.random() >= PARKED]
            begun += here
            in_flight = [max(each.known, each.begins + SOAK) for each in here]
            # Room comes back as they end; a place of one that is parked when its offer lapses.
            starts = sorted(in_flight)[len(in_flight) // 2] if in_flight else starts + OFFER_TIMEOUT
        return sorted(begun, key=lambda each: each.begins)

    def _draw(self, offered: float) -> Vehicle:
        drawn = self.rng.random  # millions of times
        begins = offered - log(1.0 - drawn()) * self.setting.begins_within_hours
        stratum = self._stratum(drawn())
        if drawn() < self.rate(stratum, self.standings[""].has_passed):
            silent = drawn() < SILENT
            known = begins + (INSTALL_TIMEOUT if silent else self.rng.uniform(0.05, 1.0))
            return Vehicle(begins, known, Outcome.FAILURE, stratum)
        late = INSTALL_TIMEOUT * drawn() if drawn() < LATE else 0.0
        return Vehicle(begins, begins + SOAK + late, Outcome.SUCCESS, stratum)

    def _stratum(self, drawn: float) -> str:
        for name, share in self.setting.strata:
            drawn -= share
            if drawn < 0:
                return name
        return ""

    def _watch(self, wave: list[Vehicle]) -> float:
        """Tick every hour until everything of a wave has been read, or something halts; return when that was."""
        feed = sorted(wave, key=lambda each: each.known) if self.setting.is_fed_as_they_arrive else wave
        now, read = min((each.begins for each in wave), default=0.0), 0
        while read < len(feed):
            following = feed[read]
            matures = following.known if self.setting.is_fed_as_they_arrive else following.begins + SOAK
            now = max(now + HOUR, HOUR * int(max(matures, following.known) / HOUR + 1))
            read += self._tick(feed, read, now)
            if self.result.halted is not None:
                self._count_broken(wave, now)
                return now
        return now

    def _tick(self, feed: Sequence[Vehicle], read: int, now: float) -> int:
        if self.setting.max_failed is not None and self._breaks_limit(feed, now):
            self.result.halted = "limit"
            return 0
        mature = self._mature(feed, read, now)
        places = gate.readable(self.tests, self.standings, mature)
        folding = gate.fold(self.tests, self.standings, [mature[place] for place in places])
        self.standings = dict(folding.standings)
        self.result.read += folding.read
        self.result.halted = folding.halted if folding.halted is None else f"gate {folding.halted}".strip()
        return folding.read

    def _breaks_limit(self, feed: Sequence[Vehicle], now: float) -> bool:
        known = [*self.ended, *(each for each in feed if each.known <= now)]
        failed = sum(each.outcome is Outcome.FAILURE for each in known)
        return limits.first_breach(self.limits, {"health_failed": failed}) is not None

    def _mature(self, feed: Sequence[Vehicle], read: int, now: float) -> list[tuple[str, Outcome]]:
        mature = []
        for index in range(read, len(feed)):
            each = feed[index]
            is_due = each.known <= now if self.setting.is_fed_as_they_arrive else each.begins + SOAK <= now
            if not is_due:
                break
            mature.append((each.stratum, each.outcome if each.known <= now else Outcome.UNSETTLED))
        return mature

    def _count_broken(self, wave: Sequence[Vehicle], now: float) -> None:
        begun = [*self.ended, *(each for each in wave if each.begins <= now)]
        self.result.broken = sum(each.outcome is Outcome.FAILURE for each in begun)

    def _end_wave(self, wave: Sequence[Vehicle], following: Sequence[int]) -> None:
        """Let the wave's rule speak. A person who is asked always lets it go on: the worst that one can do."""
        failures = sum(each.outcome is Outcome.FAILURE for each in wave)
        verdict = waves.judge_wave(
            waves.WaveResults(
                wave_failures=failures,
                wave_results=len(wave),
                campaign_failures=sum(each.outcome is Outcome.FAILURE for each in self.ended),
                campaign_results=len(self.ended),
                next_places=waves.next_places(following, left=sum(following)),
            ),
            has_passed=self.standings[""].has_passed,
            rule=WaveRule.PROCEED,
            max_failed=2,
            failure_budget=None,
        )
        self.result.asked += verdict.state == WaveState.UNDECIDED


def run(setting: Setting, rate: Rate, rng: random.Random) -> Result:
    """Run one campaign to its end or its halt."""
    return _Campaign(setting, rate, rng).run()
