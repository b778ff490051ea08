"""The gate's tests of health signals, and their comparisons with vehicles held out, folded again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.queries import signals as queries
from otaserver.campaigns.queries.replayed import Folded, Replayed, compared
from otaserver.campaigns.rules import comparisons, gate, readings, signals
from otaserver.campaigns.rules import replays as rules
from otaserver.campaigns.rules.comparisons import Comparison, ComparisonTest
from otaserver.campaigns.rules.gate import Outcome
from otaserver.campaigns.rules.readings import HealthSeen, Packed
from otaserver.campaigns.rules.replays import Verdict

_COMPARED = "control.halted"
Key = tuple[str, str]


class SignalReplay:
    """Where the tests of a campaign's signals stand while its readings are folded again."""

    def __init__(self, campaign: Campaign) -> None:
        self._states = list(campaign.signal_states.select_related("signal", "campaign").order_by("signal__name"))
        names = [state.signal.name for state in self._states]
        self._tests = {state.signal.name: queries.test_of(state) for state in self._states}
        self._standings: Mapping[str, gate.Standing] = dict.fromkeys(names, gate.Standing())
        self._missing = dict.fromkeys(names, 0)
        self._comparison_tests = {
            state.signal.name: queries.comparison_test(state) for state in self._states if state.treated_per_block
        }
        self._comparisons = dict.fromkeys(self._comparison_tests, Comparison())

    def begin_anew(self, inputs: Mapping[str, Any]) -> None:
        """Begin those anew that a decision to resume names."""
        anew = {name: gate.begin_anew(self._standings[name]) for name in inputs.get("signals_began_anew", ())}
        self._standings = {**self._standings, **anew}
        for name in inputs.get("comparisons_began_anew", ()):
            self._comparisons[name] = comparisons.begin_anew(self._comparisons[name])

    def fold(self, packed: Packed, decided: Sequence[Decision]) -> Folded:
        """Read on, and return what follows.

        Raises:
            An error of `UNREADABLE`: the reading or a decision is none that the engine writes; nothing was read.
        """
        seen = readings.health_of(packed)
        mature = sum(outcome is not Outcome.NEUTRAL for _, outcome in readings.outcomes_of(packed))
        if self._states and len(seen.vehicles) != mature:
            raise ValueError(f"the health of {len(seen.vehicles)} vehicles is kept, and {mature} were mature")
        by_key = {(each.kind, str(each.inputs["signal"])): each for each in decided}
        tests = self._tests | {
            n: rules.signal_test(each.inputs) for (kind, n), each in by_key.items() if kind != _COMPARED
        }
        comparison_tests = self._comparison_tests | {
            n: rules.comparison_test(each.inputs) for (kind, n), each in by_key.items() if kind == _COMPARED
        }
        folding = signals.fold(tests, self._standings, seen.vehicles)
        after = {name: _compared(comparison_tests[name], each, name, seen) for name, each in self._comparisons.items()}
        missing = {name: self._missing[name] + count for name, count in folding.missing.items()}
        followed = dict(_followed(tests, self._standings, folding, missing))
        followed |= _compared_verdicts(comparison_tests, self._comparisons, after)
        self._standings, self._missing, self._comparisons = folding.standings, missing, after
        items = [compared(each, followed.get(key, rules.NONE)) for key, each in by_key.items()]
        undecided = [(kind, f"the signal {name}") for kind, name in sorted(followed.keys() - by_key.keys())]
        return Folded(items, undecided, is_whole=folding.read == len(seen.vehicles))

    def ends(self) -> Iterator[Replayed]:
        """Yield whether each test stands where its readings lead."""
        for state in self._states:
            name = state.signal.name
            expected: tuple[Any, ...] = self._standings[name], self._missing[name], self._comparisons.get(name)
            comparison = queries.comparison_of(state) if state.treated_per_block else None
            found = queries.standing_of(state), state.missing, comparison
            is_same = expected == found
            detail = "" if is_same else f"the signal {name} stands at {found}, and {expected} follows"
            yield Replayed("gate.standing", None, None, is_same, detail)


def _followed(
    tests: Mapping[str, gate.GateTest],
    before: Mapping[str, gate.Standing],
    folding: signals.SignalFolding,
    missing: Mapping[str, int],
) -> Iterator[tuple[Key, Verdict]]:
    for name, after in folding.standings.items():
        for kind in ("gate.passed", "gate.halted"):
            verdict = rules.gate_verdict(kind, tests[name], before[name], after)
            # Of several that halt with one vehicle, one is decided.
            if verdict.kind and (kind == "gate.passed" or folding.halted == name):
                yield (kind, name), Verdict(kind, {**verdict.facts, "missing": missing[name]})


def _compared(test: ComparisonTest, before: Comparison, name: str, seen: HealthSeen) -> Comparison:
    treated = [said[name] for said in seen.vehicles if name in said]
    return comparisons.fold(test, before, treated, seen.controls.get(name, ()))


def _compared_verdicts(
    tests: Mapping[str, ComparisonTest], before: Mapping[str, Comparison], after: Mapping[str, Comparison]
) -> dict[Key, Verdict]:
    return {
        (_COMPARED, name): rules.comparison_verdict(tests[name], before[name], each)
        for name, each in after.items()
        if each.evidence != before[name].evidence and comparisons.has_halted(tests[name], each)
    }
