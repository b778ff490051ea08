"""What a tick reads into the gate, in a compact form with a digest."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, repeat

from otaserver.campaigns.rules.gate import Outcome

_LETTERS: Mapping[Outcome, str] = {
    outcome: outcome.value[0].upper() for outcome in Outcome if outcome is not Outcome.UNSETTLED
}
_OUTCOMES = {letter: outcome for outcome, letter in _LETTERS.items()}
NOTHING_READ = "0" * 64

# Of one signal or one vehicle held out: it was good, it was bad, it said nothing.
_HEALTH: Mapping[bool | None, str] = {False: "G", True: "B", None: "-"}
_HEALTHS = {letter: value for value, letter in _HEALTH.items()}

Runs = list[list[int | str]]
Health = Mapping[str, bool]


@dataclass(frozen=True)
class HealthSeen:
    """Of each mature vehicle, in order, which signals it reported and whether that was bad.

    And of each signal, for each block that was full, whether the vehicle held out was bad; None: there was none.
    """

    vehicles: Sequence[Health] = ()
    signals: Sequence[str] = ()
    controls: Mapping[str, Sequence[bool | None]] = field(default_factory=dict)


NO_HEALTH = HealthSeen()


@dataclass(frozen=True)
class Packed:
    """What a tick has read, in the form in which it is stored.

    `runs` are `[stratum's place, outcome's first letter, how many]`; `health` are `[a letter for each signal, how many
    vehicles]`; `controls` are letters, one for each block of a signal.
    """

    strata: Sequence[str]
    runs: Runs
    signals: Sequence[str] = field(default_factory=list)
    health: Runs = field(default_factory=list)
    controls: Mapping[str, str] = field(default_factory=dict)


def pack(outcomes: Sequence[tuple[str, Outcome]], health: HealthSeen = NO_HEALTH) -> Packed:
    """Return what was read in its compact form."""
    strata = sorted({stratum for stratum, _ in outcomes})
    places = {stratum: place for place, stratum in enumerate(strata)}
    runs: Runs = [
        [places[stratum], _LETTERS[outcome], sum(1 for _ in equal)] for (stratum, outcome), equal in groupby(outcomes)
    ]
    said = ["".join(_HEALTH[vehicle.get(name)] for name in health.signals) for vehicle in health.vehicles]
    health_runs: Runs = [[letters, sum(1 for _ in equal)] for letters, equal in groupby(said)]
    controls = {name: "".join(_HEALTH[each] for each in found) for name, found in health.controls.items()}
    return Packed(strata, runs, list(health.signals), health_runs, controls)


def outcomes_of(packed: Packed) -> Iterator[tuple[str, Outcome]]:
    """Yield the outcomes that were packed.

    Raises:
        ValueError, KeyError, IndexError, TypeError: it is nothing that was.
    """
    for stratum, outcome, count in runs_of(packed):
        yield from repeat((stratum, outcome), count)


def runs_of(packed: Packed) -> Iterator[tuple[str, Outcome, int]]:
    """Yield the same with how often it was read in a row, and raise the same."""
    for place, letter, count in packed.runs:
        yield packed.strata[int(place)], _OUTCOMES[str(letter)], int(count)


def health_of(packed: Packed) -> HealthSeen:
    """Return the health that was packed.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is nothing that was.
    """
    vehicles: list[Health] = []
    for letters, count in packed.health:
        said = {name: _HEALTHS[letter] for name, letter in zip(packed.signals, str(letters), strict=True)}
        vehicles += [{name: value for name, value in said.items() if value is not None}] * int(count)
    controls = {name: [_HEALTHS[letter] for letter in letters] for name, letters in packed.controls.items()}
    return HealthSeen(vehicles, packed.signals, controls)


def digest(previous: str, number: int, packed: Packed) -> str:
    """Return the SHA-256 of a reading, over the digest of the one before."""
    content = [list(packed.strata), packed.runs, list(packed.signals), packed.health, dict(packed.controls)]
    body = json.dumps([previous, number, *content], separators=(",", ":"), ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()
