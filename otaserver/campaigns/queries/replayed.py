"""One decision, made again, held against the one that is on record."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from otaserver.campaigns.models import Decision
from otaserver.campaigns.rules.replays import Verdict

# What a stored record that was tampered with may turn into, when it is read.
UNREADABLE = (KeyError, ValueError, TypeError, IndexError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class Replayed:
    """One decision, or another record that decisions rest on, made again. `detail` says what differs."""

    kind: str
    at: datetime | None
    decision: int | None
    is_same: bool
    detail: str = ""


def compared(decision: Decision, expected: Verdict, *, problems: Iterable[str] = ()) -> Replayed:
    """Return how a decision differs from the verdict that follows, beside the problems that are known of it."""
    found = {**decision.inputs, "sentence": decision.sentence}
    differs = list(problems)
    if expected.kind != decision.kind:
        differs.append(f"{expected.kind or 'nothing'} follows, not {decision.kind}")
    else:
        differs += [
            f"{name} is {found.get(name)!r}, and {value!r} follows"
            for name, value in expected.facts.items()
            if found.get(name) != value
        ]
    return Replayed(decision.kind, decision.at, decision.pk, not differs, "; ".join(differs))


def different(decision: Decision, detail: str) -> Replayed:
    """Return that a decision does not follow."""
    return Replayed(decision.kind, decision.at, decision.pk, is_same=False, detail=detail)


def unreadable(decision: Decision, error: Exception) -> Replayed:
    """Return that a decision's inputs are none that the engine writes."""
    return different(decision, f"the inputs cannot be read: {type(error).__name__} {error}")


@dataclass(frozen=True)
class Folded:
    """What follows from one reading: its decisions made again, and verdicts that were not decided (kind, of what).

    `is_whole` says that no test halted before the reading's end.
    """

    items: Sequence[Replayed]
    undecided: Sequence[tuple[str, str]]
    is_whole: bool
