"""What a tick reads into the gate, in a compact form with a digest."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from otaserver.campaigns.rules.gate import Outcome

_LETTERS: Mapping[Outcome, str] = {
    outcome: outcome.value[0].upper() for outcome in Outcome if outcome is not Outcome.UNSETTLED
}
_OUTCOMES = {letter: outcome for outcome, letter in _LETTERS.items()}
NOTHING_READ = "0" * 64

Runs = list[list[int | str]]


def pack(outcomes: Sequence[tuple[str, Outcome]]) -> tuple[list[str], Runs]:
    """Return the strata of these outcomes, and the outcomes as runs: stratum's place, first letter, how many."""
    strata = sorted({stratum for stratum, _ in outcomes})
    places = {stratum: place for place, stratum in enumerate(strata)}
    runs: Runs = [
        [places[stratum], _LETTERS[outcome], sum(1 for _ in equal)] for (stratum, outcome), equal in groupby(outcomes)
    ]
    return strata, runs


def unpack(strata: Sequence[str], runs: Runs) -> Iterator[tuple[str, Outcome]]:
    """Yield what was packed.

    Raises:
        ValueError, KeyError, IndexError, TypeError: it is nothing that was.
    """
    for place, letter, count in runs:
        for _ in range(int(count)):
            yield strata[int(place)], _OUTCOMES[str(letter)]


def digest(previous: str, number: int, strata: Sequence[str], runs: Runs) -> str:
    """Return the SHA-256 of a reading, over the digest of the one before."""
    body = json.dumps([previous, number, list(strata), runs], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(body.encode()).hexdigest()
