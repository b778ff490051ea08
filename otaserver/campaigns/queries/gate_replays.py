"""A campaign's gate, folded again from what it has read: reading by reading, outcomes and health signals."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.queries.outcome_replays import OutcomeReplay
from otaserver.campaigns.queries.replayed import UNREADABLE, Replayed, different, unreadable
from otaserver.campaigns.queries.signal_replays import SignalReplay
from otaserver.campaigns.records import GateReading
from otaserver.campaigns.rules import readings
from otaserver.campaigns.rules.readings import Packed

_KINDS = ("gate.passed", "gate.halted", "control.halted")


class GateReplay:
    """Folds a campaign's readings again, and holds the gate's decisions against where that leads."""

    def __init__(self, campaign: Campaign, decisions: Sequence[Decision]) -> None:
        self._readings = list(campaign.gate_readings.order_by("number"))
        self._parts = (OutcomeReplay(campaign), SignalReplay(campaign))
        self._decided: dict[Any, list[Decision]] = {}
        self._anew: dict[Any, list[Mapping[str, Any]]] = {}
        for decision in decisions:
            if decision.kind == "campaign.resumed":
                self._anew.setdefault(decision.inputs.get("after_reading"), []).append(decision.inputs)
            elif decision.kind in _KINDS:
                self._decided.setdefault(str(decision.inputs.get("reading")), []).append(decision)

    def replayed(self) -> Iterator[Replayed]:
        """Yield each verdict of the gate, and where its tests stand at the end."""
        previous = readings.NOTHING_READ
        for number, reading in enumerate(self._readings, start=1):
            decided = self._decided.pop(str(number), [])
            yield from (_resting_on(reading, decided, item) for item in self._read(reading, decided, number, previous))
            previous = reading.sha256
            for inputs in self._anew.get(number, ()):
                for part in self._parts:
                    part.begin_anew(inputs)
        for decision in [each for left in self._decided.values() for each in left]:
            yield different(decision, "what it has read is not kept")
        for part in self._parts:
            yield from part.ends()

    def _read(self, reading: GateReading, decided: list[Decision], number: int, previous: str) -> Iterator[Replayed]:
        packed = Packed(reading.strata, reading.runs, reading.signals, reading.health, reading.controls)
        of_signals = [each for each in decided if "signal" in each.inputs]
        of_outcomes = [each for each in decided if "signal" not in each.inputs]
        try:
            is_kept = (reading.number, reading.sha256) == (number, readings.digest(previous, number, packed))
            outcomes, signals = self._parts
            folded = [outcomes.fold(packed, of_outcomes), signals.fold(packed, of_signals)]
        except UNREADABLE as error:
            yield from (unreadable(decision, error) for decision in decided)
            yield Replayed("gate.reading", reading.at, None, False, f"reading {number} cannot be read: {error}")
            return
        if not is_kept:
            yield Replayed("gate.reading", reading.at, None, False, f"reading {number} is not what was read")
        for part in folded:
            if not part.is_whole:
                yield Replayed("gate.reading", reading.at, None, False, f"reading {number} goes on after a halt")
            yield from part.items
            for kind, what in part.undecided:
                detail = f"it follows from reading {number} for {what}, and was not decided"
                yield Replayed(kind, reading.at, None, is_same=False, detail=detail)


def _resting_on(reading: GateReading, decided: Sequence[Decision], item: Replayed) -> Replayed:
    """Return the item, or that its decision names other outcomes than those that it was made again from."""
    decision = next((each for each in decided if each.pk == item.decision), None)
    if decision is None or not item.is_same or decision.inputs.get("outcomes_sha256") == reading.sha256:
        return item
    return different(decision, "it rests on other outcomes than are kept")
