"""A campaign played through before it is launched, with the very rules that will judge it.

Vehicles hear of an offer after a delay, download, wait for their window, install, and fail at a true rate that the
player of the rehearsal chooses. Offers keep to pace and to the limit in flight; outcomes enter the gate in the order of
installation start at their maturity; waves pass, ask or halt by the rules of `gate`, `waves` and `limits`. Time is in
seconds since the start. Large waves are played by members that stand for several vehicles each.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from otaserver.campaigns.rules import gate, limits, waves
from otaserver.campaigns.rules.gate import GateTest, Outcome, Standing
from otaserver.campaigns.rules.late_strata import alpha_share
from otaserver.campaigns.states import GateVerdict, WaveRule, WaveState

BUCKET_SECONDS = 3600
# A person who is asked lets the campaign go on: what is rehearsed is the engine, and a halt is still a halt.
_CLOSE, _OFFER, _START, _END, _MATURE = range(5)


@dataclass(frozen=True)
class Member:
    """One vehicle, or `weight` of a kind. `hears_after` None: never heard of again; `zone` is the window's key.

    `length`: what it has to fetch, in bytes; None: as the script says of each.
    """

    stratum: str = ""
    hears_after: float | None = 0.0
    zone: str = "UTC"
    weight: int = 1
    length: int | None = None


@dataclass(frozen=True)
class Truth:
    """What the release really does, which the gate does not know. Rates are fractions of the vehicles that install.

    `turns_bad_after`: from so many installations on it fails at `later_rate`. `silent_share` of the failures say
    nothing and are found by the timeout alone; the others fail after `failure_seconds`.
    """

    rate: float
    rates: Mapping[str, float] = field(default_factory=dict)  # by stratum, instead of `rate`
    turns_bad_after: int | None = None
    later_rate: float = 0.0
    silent_share: float = 0.0
    failure_seconds: float = 300.0
    success_seconds: float = 600.0


@dataclass(frozen=True)
class RehearsedWave:
    """A wave's members in their order, and how many of its vehicles may fail before a person is asked."""

    members: Sequence[Member]
    max_failed: int = 0


@dataclass(frozen=True)
class Script:
    """All that the engine would know: the plan, and who is in which wave.

    `ends_after`: from then on nothing is offered or begun; None: it has no end of its own.
    """

    plan: gate.GatePlan
    waves: Sequence[RehearsedWave]
    soak_seconds: float
    is_stratified: bool = True
    is_dynamic: bool = False
    wave_rule: str = WaveRule.PROCEED
    failure_budget: int | None = None
    max_failed: int | None = None
    max_in_flight: int | None = None
    offers_per_minute: float | None = None
    bytes_per_hour: int | None = None
    downloads_early: bool = True
    ends_after: float | None = None
    bytes_each: int = 0
    download_seconds: float = 0.0
    offer_timeout_seconds: float = 14 * 86400.0
    download_timeout_seconds: float = 7 * 86400.0
    install_timeout_seconds: float = 4 * 3600.0


@dataclass(frozen=True)
class Rehearsal:
    """How it went. Times in seconds since the start; `load` is bytes on the wire by the hour in which they are sent."""

    wave_ends: Sequence[float]
    asked: Sequence[float]  # when a person was asked
    halted_at: float | None
    halted_by: str | None  # a stratum, "" for the pool, or a limit's name
    broken: int
    installed: int
    unreached: int
    load: Mapping[int, int]
    # What happened when: seconds, which of `prospects.KINDS`, and how many vehicles or bytes.
    moments: Sequence[tuple[float, str, int]] = ()

    @property
    def has_halted(self) -> bool:
        return self.halted_by is not None


OpensAt = Callable[[str, float], float | None]
"""When a window is open next in a zone, from a moment on; None: never again."""


def always_open(zone: str, moment: float) -> float:
    return moment


def rehearse(script: Script, truth: Truth, *, seed: int, opens_at: OpensAt = always_open) -> Rehearsal:
    """Play a campaign once. The same seed gives the same rehearsal."""
    return _Stage(script, truth, random.Random(seed), opens_at).play()


@dataclass
class _Part:
    """One member's part once it is offered."""

    member: Member
    wave: int
    started_at: float | None = None
    failures: int = 0
    is_settled: bool = False


class _Stage:
    """The state of one rehearsal."""

    def __init__(self, script: Script, truth: Truth, rng: random.Random, opens_at: OpensAt) -> None:
        self._script, self._truth, self._rng, self._opens_at = script, truth, rng, opens_at
        strata = Counter[str]()
        for wave in script.waves:
            for member in wave.members:
                strata[member.stratum] += member.weight
        self._tests = _tests(script, strata)
        self._standings = {name: Standing() for name in self._tests}
        self._events: list[tuple[float, int, int, _Part | None]] = []
        self._order = count()
        self._started: list[_Part] = []
        self._read = 0
        self._wave = 0
        # With their waves: one that has passed early leaves vehicles behind, which go first.
        self._waiting: list[tuple[Member, int]] = []
        self._pending = Counter[int]()
        self._judged = Counter[int]()
        self._is_closed = False
        self._in_flight = 0
        self._offered_until = 0.0
        self._failures = Counter[int]()
        self._results = Counter[int]()
        self._broken = self._installed = self._unreached = 0
        self._load = Counter[int]()
        self._moments: list[tuple[float, str, int]] = []
        self._wave_ends: list[float] = []
        self._asked: list[float] = []
        self._halted: tuple[float, str] | None = None

    def play(self) -> Rehearsal:
        if self._script.ends_after is not None:
            self._push(self._script.ends_after, _CLOSE)
        self._open_wave(0.0)
        while self._events and self._halted is None:
            now, kind, _, part = heapq.heappop(self._events)
            self._take_event(now, kind, part)
        halted_at, halted_by = self._halted or (None, None)
        return Rehearsal(
            wave_ends=self._wave_ends,
            asked=self._asked,
            halted_at=halted_at,
            halted_by=halted_by,
            broken=self._broken,
            installed=self._installed,
            unreached=self._unreached,
            load=dict(sorted(self._load.items())),
            moments=self._moments,
        )

    def _take_event(self, now: float, kind: int, part: _Part | None) -> None:
        if kind == _OFFER:
            self._offer(now)
        elif kind == _CLOSE:
            self._close(now)
        elif part is not None and kind == _START:
            self._start(now, part)
        elif part is not None and kind == _END:
            self._end(now, part)
        elif part is not None:
            self._in_flight -= part.member.weight
            self._moments.append((now, "succeeded", part.member.weight - part.failures))
            self._read_outcomes(now)
            if part.failures and self._halted is None:
                self._look_past_the_slow(now)
            self._go_on(now)

    def _push(self, at: float, kind: int, part: _Part | None = None) -> None:
        heapq.heappush(self._events, (at, kind, next(self._order), part))

    def _open_wave(self, now: float) -> None:
        members = self._script.waves[self._wave].members
        self._waiting[:0] = [(member, self._wave) for member in reversed(members)]
        self._pending[self._wave] = len(members)
        self._push(now, _OFFER)
        if not members:
            self._go_on(now)

    def _close(self, now: float) -> None:
        """End the campaign: who waits is settled neither way, and no further wave opens."""
        self._is_closed = True
        waiting, self._waiting = self._waiting, []
        for member, wave in waiting:
            self._give_up(now, member, wave)
        self._go_on(now)

    def _give_up(self, now: float, member: Member, wave: int) -> None:
        self._unreached += member.weight
        self._moments.append((now, "neutral", member.weight))
        self._pending[wave] -= 1

    def _offer(self, now: float) -> None:
        limit = self._script.max_in_flight
        while self._waiting and self._offered_until <= now:
            weight = self._waiting[-1][0].weight
            if limit is not None and self._in_flight and self._in_flight + weight > limit:
                return
            member, wave = self._waiting.pop()
            self._give_order(now, member, wave)
            self._offered_until = now + self._pause_after(member)
        if self._waiting:
            self._push(self._offered_until, _OFFER)

    def _length_of(self, member: Member) -> int:
        return (self._script.bytes_each if member.length is None else member.length) * member.weight

    def _pause_after(self, member: Member) -> float:
        """Return how long the pace demands to wait after an order to this member."""
        offers, length = self._script.offers_per_minute, self._script.bytes_per_hour
        return max(
            60.0 * member.weight / offers if offers else 0.0,
            3600.0 * self._length_of(member) / length if length else 0.0,
        )

    def _give_order(self, now: float, member: Member, wave: int) -> None:
        part = _Part(member, wave)
        self._in_flight += member.weight
        self._moments.append((now, "length", self._length_of(member)))
        offered = now if self._script.downloads_early else self._opens_at(member.zone, now)
        patience = self._by_the_end((now if offered is None else offered) + self._script.offer_timeout_seconds)
        heard = None if member.hears_after is None or offered is None else offered + member.hears_after
        if heard is None or heard > patience:
            self._push(patience, _END, part)
            return
        self._load[int(heard // BUCKET_SECONDS)] += self._length_of(member)
        begins = self._opens_at(member.zone, heard + self._script.download_seconds)
        patience = self._by_the_end(patience + self._script.download_timeout_seconds)
        if begins is None or begins > patience:
            self._push(patience, _END, part)
        else:
            self._push(begins, _START, part)

    def _by_the_end(self, moment: float) -> float:
        return moment if self._script.ends_after is None else min(moment, self._script.ends_after)

    def _start(self, now: float, part: _Part) -> None:
        member, truth = part.member, self._truth
        part.started_at = now
        self._started.append(part)
        part.failures = sum(self._rng.random() < self._rate_of(member) for _ in range(member.weight))
        self._installed += member.weight
        takes = truth.success_seconds
        if part.failures:
            is_silent = self._rng.random() < truth.silent_share
            takes = self._script.install_timeout_seconds if is_silent else truth.failure_seconds
        self._push(now + takes, _END, part)

    def _rate_of(self, member: Member) -> float:
        after = self._truth.turns_bad_after
        if after is not None and self._installed >= after:
            return self._truth.later_rate
        return self._truth.rates.get(member.stratum, self._truth.rate)

    def _end(self, now: float, part: _Part) -> None:
        part.is_settled = True
        if part.started_at is None:
            self._give_up(now, part.member, part.wave)
            self._in_flight -= part.member.weight
        else:
            self._broken += part.failures
            self._moments.append((now, "failed", part.failures))
            self._failures[part.wave] += part.failures
            self._results[part.wave] += part.member.weight
            self._push(max(now, part.started_at + self._script.soak_seconds), _MATURE, part)
        self._check_limit(now)
        if part.started_at is None:
            self._go_on(now)

    def _check_limit(self, now: float) -> None:
        allowed = limits.Limits(self._script.max_failed, self._broken)
        breach = limits.first_breach(allowed, {"health_failed": self._broken} if self._broken else {})
        if breach is not None:
            self._halted = now, breach.limit

    def _read_outcomes(self, now: float) -> None:
        while self._read < len(self._started):
            part = self._started[self._read]
            if not part.is_settled or part.started_at is None or part.started_at + self._script.soak_seconds > now:
                return
            self._read += 1
            self._pending[part.wave] -= 1
            self._judged[part.wave] += part.member.weight
            halted = self._feed(part)
            if halted is not None:
                self._halted = now, halted
                return

    def _look_past_the_slow(self, now: float) -> None:
        """Halt where that is certain whatever those come to that still install (`gate.readable`)."""
        outcomes: list[tuple[str, Outcome]] = []
        for part in self._started[self._read :]:
            if part.started_at is None or part.started_at + self._script.soak_seconds > now:
                break
            failed = part.failures if part.is_settled else 0
            others = Outcome.SUCCESS if part.is_settled else Outcome.UNSETTLED
            # Failures last: in no other order is the evidence of one member lower at its highest.
            outcomes += [(part.member.stratum, others)] * (part.member.weight - failed)
            outcomes += [(part.member.stratum, Outcome.FAILURE)] * failed
        places = gate.readable(self._tests, self._standings, outcomes)
        halted = gate.fold(self._tests, self._standings, [outcomes[place] for place in places]).halted
        if halted is not None:
            self._halted = now, halted

    def _feed(self, part: _Part) -> str | None:
        """Read a member's outcomes into the pool and its stratum, failures where chance puts them among them."""
        weight, stratum = part.member.weight, part.member.stratum
        bad = set(self._rng.sample(range(weight), part.failures)) if part.failures else set()
        names = ("", stratum) if stratum and stratum in self._tests else ("",)
        for name in names:
            test, standing = self._tests[name], self._standings[name]
            for index in range(weight):
                standing = gate.take(test, standing, is_failure=index in bad)
                if index in bad and gate.judge(test, standing).verdict is GateVerdict.HALT:
                    self._standings[name] = standing
                    return name
            self._standings[name] = standing
        return None

    def _go_on(self, now: float) -> None:
        """Offer what has room now, and judge the wave where all of it is settled and read, or the test has passed."""
        if self._waiting:
            self._push(max(now, self._offered_until), _OFFER)
        if self._halted is not None or self._wave >= len(self._script.waves):
            return
        if self._pending[self._wave]:
            if not self._passes_early():
                return
        elif self._judge_wave().state == WaveState.UNDECIDED:
            self._asked.append(now)
        self._wave_ends.append(now)
        self._wave += 1
        if self._wave < len(self._script.waves) and not self._is_closed:
            self._open_wave(now)

    def _passes_early(self) -> bool:
        """Return whether the wave passes though vehicles of it are away: by a passed test, and results of its own."""
        needed = self._tests[""].clean_results_to_pass
        has_passed = self._standings[""].has_passed and self._judged[self._wave] >= needed
        is_anyone_left = any(wave.members for wave in self._script.waves[self._wave + 1 :])
        budget = self._script.failure_budget
        return has_passed and is_anyone_left and (budget is None or self._failures.total() <= budget)

    def _judge_wave(self) -> waves.WaveVerdict:
        following = [_size(wave) for wave in self._script.waves[self._wave + 1 :]]
        results = waves.WaveResults(
            wave_failures=self._failures[self._wave],
            wave_results=self._results[self._wave],
            campaign_failures=self._failures.total(),
            campaign_results=self._results.total(),
            next_places=waves.next_places(following, left=sum(following)),
        )
        return waves.judge_wave(
            results,
            has_passed=self._standings[""].has_passed,
            rule=WaveRule(self._script.wave_rule),
            max_failed=self._script.waves[self._wave].max_failed,
            failure_budget=self._script.failure_budget,
        )


def _size(wave: RehearsedWave) -> int:
    return sum(member.weight for member in wave.members)


def _tests(script: Script, strata: Mapping[str, int]) -> dict[str, GateTest]:
    takes_in = script.is_stratified and script.is_dynamic
    tested = dict(strata) if script.is_stratified and (len(strata) > 1 or takes_in) else {}
    shares = {name: alpha_share(name, known=len(tested), place=0, takes_in=takes_in) for name in ("", *tested)}
    planned = {"": sum(strata.values()), **tested}
    return {
        name: gate.make_test(script.plan, share=shares[name], planned_results=results)
        for name, results in planned.items()
    }
