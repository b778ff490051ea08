"""Every decision of the engine, made again from its records: does the same verdict follow?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.queries.gates import gate_tests, standing_of
from otaserver.campaigns.records import GateReading
from otaserver.campaigns.rules import gate, readings
from otaserver.campaigns.rules import replays as rules
from otaserver.campaigns.rules.replays import Verdict

ENGINE = "engine"
_GATE = ("gate.passed", "gate.halted")
# What a stored record that was tampered with may turn into, when it is read.
_UNREADABLE = (KeyError, ValueError, TypeError, IndexError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class Replayed:
    """One decision, or another record that decisions rest on, made again. `detail` says what differs."""

    kind: str
    at: datetime | None
    decision: int | None
    is_same: bool
    detail: str = ""


@dataclass(frozen=True)
class Replay:
    """All that was made again, in the order in which it was decided. Decisions of persons are theirs: left out."""

    items: Sequence[Replayed]

    @property
    def differences(self) -> Sequence[Replayed]:
        """Return what does not follow from the records any more."""
        return [item for item in self.items if not item.is_same]

    @property
    def is_same(self) -> bool:
        """Return whether everything follows."""
        return not self.differences


def replay(campaign: Campaign) -> Replay:
    """Make every decision of the engine in a campaign again, by the same rules, in three queries.

    What the gate has read is folded again from the first outcome to the last; each of its verdicts must follow there,
    none may be missing, and the standing at the end must be the one that is stored.
    """
    decisions = list(campaign.decisions.order_by("at", "pk"))
    engine = [each for each in decisions if each.actor == ENGINE]
    by_inputs = [_by_inputs(each) for each in engine if each.kind in rules.BY_INPUTS]
    by_gate = _Gate(campaign, decisions).replayed()
    return Replay(sorted([*by_inputs, *by_gate], key=lambda item: (item.at is None, item.at, item.decision or 0)))


def _by_inputs(decision: Decision) -> Replayed:
    try:
        return _compared(decision, rules.BY_INPUTS[decision.kind](decision.inputs))
    except _UNREADABLE as error:
        return _unreadable(decision, error)


def _compared(decision: Decision, expected: Verdict) -> Replayed:
    found = {**decision.inputs, "sentence": decision.sentence}
    problems = [] if expected.kind == decision.kind else [f"{expected.kind or 'nothing'} follows, not {decision.kind}"]
    problems += [
        f"{name} is {found.get(name)!r}, and {value!r} follows"
        for name, value in expected.facts.items()
        if not problems and found.get(name) != value
    ]
    return Replayed(decision.kind, decision.at, decision.pk, not problems, "; ".join(problems))


def _unreadable(decision: Decision, error: Exception) -> Replayed:
    detail = f"the inputs cannot be read: {type(error).__name__} {error}"
    return Replayed(decision.kind, decision.at, decision.pk, is_same=False, detail=detail)


class _Gate:
    """Folds a campaign's readings again, and holds the gate's decisions against where that leads."""

    def __init__(self, campaign: Campaign, decisions: Sequence[Decision]) -> None:
        self._states = list(campaign.gate_states.all())
        self._tests = dict(gate_tests(campaign, self._states))
        self._standings = {state.stratum: gate.Standing() for state in self._states}
        self._readings = list(campaign.gate_readings.order_by("number"))
        self._decided: dict[int, dict[tuple[str, str], Decision]] = {}
        self._anew: dict[int, list[str]] = {}
        self._unplaced: list[Decision] = []
        for decision in decisions:
            self._sort_in(decision)

    def _sort_in(self, decision: Decision) -> None:
        inputs: Mapping[str, Any] = decision.inputs
        if decision.kind == "campaign.resumed":
            self._anew.setdefault(inputs.get("after_reading", -1), []).extend(inputs.get("began_anew", ()))
        elif decision.kind in _GATE and isinstance(inputs.get("reading"), int):
            key = decision.kind, str(inputs.get("stratum"))
            self._decided.setdefault(inputs["reading"], {})[key] = decision
        elif decision.kind in _GATE:
            self._unplaced.append(decision)

    def replayed(self) -> Iterator[Replayed]:
        previous = readings.NOTHING_READ
        for number, reading in enumerate(self._readings, start=1):
            decided = self._decided.pop(number, {})
            yield from self._read(reading, decided, number, previous)
            previous = reading.sha256
            for stratum in self._anew.get(number, ()):
                self._standings[stratum] = gate.begin_anew(self._standings.get(stratum, gate.Standing()))
        for decision in [*self._unplaced, *(each for left in self._decided.values() for each in left.values())]:
            detail = "what it has read is not kept"
            yield Replayed(decision.kind, decision.at, decision.pk, is_same=False, detail=detail)
        yield from self._ends()

    def _read(
        self, reading: GateReading, decided: Mapping[tuple[str, str], Decision], number: int, previous: str
    ) -> Iterator[Replayed]:
        digest = readings.digest(previous, number, reading.strata, reading.runs)
        if (reading.number, reading.sha256) != (number, digest):
            yield Replayed("gate.reading", reading.at, None, False, f"reading {number} is not what was read")
        before = dict(self._standings)
        try:
            tests = self._tests | {stratum: rules.gate_test(each.inputs) for (_, stratum), each in decided.items()}
            outcomes = list(readings.unpack(reading.strata, reading.runs))
            folding = gate.fold(tests, before, outcomes)
        except _UNREADABLE as error:
            yield from (_unreadable(decision, error) for decision in decided.values())
            yield Replayed("gate.reading", reading.at, None, False, f"reading {number} cannot be read: {error}")
            return
        self._standings = dict(folding.standings)
        if folding.read != len(outcomes):
            yield Replayed("gate.reading", reading.at, None, False, f"reading {number} goes on after a halt")
        yield from self._verdicts(reading, decided, before, folding)

    def _verdicts(
        self,
        reading: GateReading,
        decided: Mapping[tuple[str, str], Decision],
        before: Mapping[str, gate.Standing],
        folding: gate.Folding,
    ) -> Iterator[Replayed]:
        for (_, stratum), decision in decided.items():
            try:
                after = folding.standings[stratum]
                expected = rules.gate_verdict(decision.kind, decision.inputs, before[stratum], after)
            except _UNREADABLE as error:
                yield _unreadable(decision, error)
                continue
            compared = _compared(decision, expected)
            if compared.is_same and decision.inputs.get("outcomes_sha256") != reading.sha256:
                detail = "it rests on other outcomes than are kept"
                compared = Replayed(decision.kind, decision.at, decision.pk, is_same=False, detail=detail)
            yield compared
        passed = {
            ("gate.passed", stratum)
            for stratum, standing in folding.standings.items()
            if standing.has_passed and not before[stratum].has_passed
        }
        halted = set() if folding.halted is None else {("gate.halted", folding.halted)}
        for kind, stratum in sorted((passed | halted) - decided.keys()):
            detail = f"it follows from reading {reading.number} for {stratum or 'the pool'}, and was not decided"
            yield Replayed(kind, reading.at, None, is_same=False, detail=detail)

    def _ends(self) -> Iterator[Replayed]:
        for state in self._states:
            expected, found = self._standings[state.stratum], standing_of(state)
            is_same = expected == found
            detail = "" if is_same else f"{state.stratum or 'the pool'} stands at {found}, and {expected} follows"
            yield Replayed("gate.standing", None, None, is_same, detail)
