"""Every decision of the engine, made again from its records: does the same verdict follow?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.queries.gate_replays import GateReplay
from otaserver.campaigns.queries.replayed import UNREADABLE, Replayed, compared, unreadable
from otaserver.campaigns.rules import replays as rules

ENGINE = "engine"


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
    """Make every verdict of the engine in a campaign again, by the same rules, in four queries.

    What the gate has read, of outcomes and of health signals, is folded again from the first vehicle to the last; each
    of its verdicts must follow there, none may be missing, and the standing at the end must be the one that is stored.
    """
    decisions = list(campaign.decisions.select_related("wave").order_by("pk"))
    found = [*_by_inputs(decisions), *GateReplay(campaign, decisions).replayed()]
    return Replay(sorted(found, key=lambda item: (item.at is None, item.at, item.decision or 0)))


def _by_inputs(decisions: Sequence[Decision]) -> Iterator[Replayed]:
    passed: set[int] = set()
    for decision in decisions:
        if decision.actor == ENGINE and decision.kind in rules.BY_INPUTS:
            yield _again(decision, passed)
        if decision.kind == "wave.passed" and decision.wave is not None:
            # By whomever.
            passed.add(decision.wave.number)


def _again(decision: Decision, passed: set[int]) -> Replayed:
    problems = []
    if decision.kind == "wave.opened":
        number = 0 if decision.wave is None else decision.wave.number
        problems = [f"wave {before} has not passed" for before in range(1, number) if before not in passed]
    try:
        return compared(decision, rules.BY_INPUTS[decision.kind](decision.inputs), problems=problems)
    except UNREADABLE as error:
        return unreadable(decision, error)
