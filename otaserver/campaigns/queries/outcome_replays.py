"""The gate's tests of outcomes, of the pool and of each stratum, folded again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.queries.gates import gate_tests, standing_of
from otaserver.campaigns.queries.replayed import Folded, Replayed, compared, different
from otaserver.campaigns.rules import gate, readings
from otaserver.campaigns.rules import replays as rules
from otaserver.campaigns.rules.readings import Packed


def _name(stratum: str) -> str:
    return stratum or "the pool"


class OutcomeReplay:
    """Where the tests of a campaign stand while its readings are folded again."""

    def __init__(self, campaign: Campaign) -> None:
        self._states = list(campaign.gate_states.all())
        self._tests = dict(gate_tests(campaign, self._states))
        self._standings: Mapping[str, gate.Standing] = {state.stratum: gate.Standing() for state in self._states}

    def begin_anew(self, inputs: Mapping[str, Any]) -> None:
        """Begin those anew that a decision to resume names."""
        anew = {name: gate.begin_anew(self._standings[name]) for name in inputs.get("began_anew", ())}
        self._standings = {**self._standings, **anew}

    def fold(self, packed: Packed, decided: Sequence[Decision]) -> Folded:
        """Read on, and return what follows.

        Raises:
            An error of `UNREADABLE`: the reading or a decision is none that the engine writes; nothing was read.
        """
        by_key = {(each.kind, str(each.inputs["stratum"])): each for each in decided}
        tests = self._tests | {stratum: rules.gate_test(each.inputs) for (_, stratum), each in by_key.items()}
        outcomes, before = list(readings.outcomes_of(packed)), self._standings
        folding = gate.fold(tests, before, outcomes)
        items = [
            compared(each, rules.gate_verdict(kind, tests[name], before[name], folding.standings[name]))
            if name in before
            else different(each, f"there is no test of {name}")
            for (kind, name), each in by_key.items()
        ]
        self._standings = folding.standings
        followed = {
            ("gate.passed", name)
            for name, standing in folding.standings.items()
            if standing.has_passed and not before[name].has_passed
        }
        followed |= set() if folding.halted is None else {("gate.halted", folding.halted)}
        undecided = [(kind, _name(name)) for kind, name in sorted(followed - by_key.keys())]
        return Folded(items, undecided, is_whole=folding.read == len(outcomes))

    def ends(self) -> Iterator[Replayed]:
        """Yield whether each test stands where its readings lead."""
        for state in self._states:
            expected, found = self._standings[state.stratum], standing_of(state)
            is_same = expected == found
            detail = "" if is_same else f"{_name(state.stratum)} stands at {found}, and {expected} follows"
            yield Replayed("gate.standing", None, None, is_same, detail)
