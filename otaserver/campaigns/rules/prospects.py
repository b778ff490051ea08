"""How rehearsals went in time, as one mean course in bars, and what of it was reached by a moment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

BARS = 60
KINDS = ("succeeded", "failed", "neutral", "length")

Moment = tuple[float, str, int]


@dataclass(frozen=True)
class Tally:
    """How many vehicles ended how, and the bytes that vehicles were ordered to fetch; means, so fractions too."""

    succeeded: float = 0.0
    failed: float = 0.0
    neutral: float = 0.0
    length: float = 0.0

    @property
    def ended(self) -> float:
        return self.succeeded + self.failed + self.neutral

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, kind) + getattr(other, kind) for kind in KINDS))

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, kind) - getattr(other, kind) for kind in KINDS))

    def share(self, part: float) -> "Tally":
        """Return that part of it, a fraction."""
        return Tally(*(getattr(self, kind) * part for kind in KINDS))


@dataclass(frozen=True)
class Prospect:
    """A course in bars of equal width from the start on; after the last one nothing happens any more."""

    bar_seconds: float
    bars: Sequence[Tally]

    def by(self, seconds: float) -> Tally:
        """Return what has happened by so many seconds after the start; within a bar evenly."""
        full, rest = divmod(max(seconds, 0.0), self.bar_seconds)
        past = min(int(full), len(self.bars))
        found = sum(self.bars[:past], Tally())
        return found if past == len(self.bars) else found + self.bars[past].share(rest / self.bar_seconds)

    @property
    def in_the_end(self) -> Tally:
        return sum(self.bars, Tally())


def prospect(runs: Sequence[Sequence[Moment]], *, most: int = BARS) -> Prospect:
    """Return the mean course of some runs, in at most so many bars of whole seconds."""
    last = max((at for moments in runs for at, _, _ in moments), default=0.0)
    width = max(math.ceil((last + 1) / most), 1)
    sums = [dict.fromkeys(KINDS, 0) for _ in range(int(last // width) + 1)]
    for moments in runs:
        for at, kind, amount in moments:
            sums[int(at // width)][kind] += amount
    return Prospect(width, [Tally(*(each[kind] / len(runs) for kind in KINDS)) for each in sums])
