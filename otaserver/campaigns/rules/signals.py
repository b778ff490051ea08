"""Health signals: named numbers that vehicles report in their soak, each held against a limit and tested on its own."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from otaserver.campaigns.rules import gate
from otaserver.campaigns.states import GateVerdict

NAME = re.compile(r"[a-z0-9_-]{1,40}\Z")
# With signals, the outcomes of the installations keep this part of alpha; the signals share the rest equally.
OUTCOME_SHARE_OF_ALPHA = 0.5


def outcome_share(signals: int) -> float:
    """Return which part of alpha the tests of installations share; without signals it is all of it."""
    return OUTCOME_SHARE_OF_ALPHA if signals else 1.0


def signal_share(signals: int, *, has_control: bool) -> float:
    """Return which part of alpha one test of one signal has.

    With a control share there are two a signal: against its own rates, and against the control vehicles.
    """
    return (1 - OUTCOME_SHARE_OF_ALPHA) / signals / (2 if has_control else 1)


def problem(name: str, value: float) -> str | None:
    """Return why a reading cannot be taken, or None."""
    if not NAME.match(name):
        return f"A signal's name is 1 to 40 of a-z, 0-9, _ and -; {name[:80]!r} is not."
    if not math.isfinite(value):
        return f"The signal {name} is {value}; it must be a finite number."
    return None


def is_kept(value: float, limit: float, *, recent: Sequence[float]) -> bool:
    """Return whether a reading is stored beside those of the last hour.

    One an hour is enough, and what makes a vehicle bad is never lost: the first above the limit is stored too. So no
    flood of readings fills the store, and none can keep a bad one out.
    """
    return not recent or (value > limit and max(recent) <= limit)


@dataclass(frozen=True)
class SignalFolding:
    """Where each signal's test stands, how many vehicles were read, who lacked the signal, and which halted."""

    standings: Mapping[str, gate.Standing]
    missing: Mapping[str, int]
    read: int
    halted: str | None = None


def fold(
    tests: Mapping[str, gate.GateTest],
    standings: Mapping[str, gate.Standing],
    vehicles: Sequence[Mapping[str, bool]],
) -> SignalFolding:
    """Read matured vehicles, in order, each with whether a signal was bad; one that it lacks is left out there.

    Stops after a vehicle with which a test halts.
    """
    standing, missing = dict(standings), dict.fromkeys(tests, 0)
    for index, signals in enumerate(vehicles):
        halted = None
        for name, test in tests.items():
            if name not in signals:
                missing[name] += 1
                continue
            standing[name] = gate.take(test, standing[name], is_failure=signals[name])
            if signals[name] and gate.judge(test, standing[name]).verdict is GateVerdict.HALT:
                halted = name
        if halted is not None:
            return SignalFolding(standing, missing, index + 1, halted)
    return SignalFolding(standing, missing, len(vehicles))


def certain_halt(
    tests: Mapping[str, gate.GateTest],
    standings: Mapping[str, gate.Standing],
    vehicles: Sequence[Mapping[str, bool] | None],
) -> int | None:
    """Return how many of these matured vehicles halt, whatever becomes of those that are unsettled (None); or None."""
    all_good = [(name, False) for name in tests]
    told = [all_good if said is None else list(said.items()) for said in vehicles]
    return gate.certain_halt(tests, standings, told)


def lacking(reported: Mapping[str, int], *, matured: int) -> str | None:
    """Return why a wave may not pass by itself, from how many of its matured vehicles reported each signal, or None.

    A limit that cannot be evaluated never lets go: more than half must have reported.
    """
    for name, count in sorted(reported.items()):
        if 2 * (matured - count) > matured:
            return f"Of {matured} vehicles {matured - count} did not report {name}: its limit cannot be judged."
    return None


def uncompared(blocks: Mapping[str, tuple[int, int]]) -> str | None:
    """Return why a wave may not pass by itself, from how many blocks there could be of each signal and are, or None.

    As for the signals themselves: of more than half there must be a vehicle to compare with.
    """
    for name, (possible, found) in sorted(blocks.items()):
        if 2 * (possible - found) > possible:
            return f"Of {possible} groups of vehicles {possible - found} have none held out that reported {name}."
    return None
