"""What a release says of the health of its vehicles after the update: pure, no Django."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_SIGNALS = 20
MAX_HALT_CODES = 100
# As for a campaign's own rates: beyond these no test can be made.
MIN_RATE = 1e-6
MIN_RATE_RATIO = 1.01
_NAME = re.compile(r"[a-z0-9_-]{1,40}\Z")
_CODE = re.compile(r"[!-~]{1,80}\Z")


@dataclass(frozen=True)
class Signal:
    """A named number. Above its limit a vehicle is bad; the rates are fractions of vehicles that may be, or not."""

    name: str
    limit: float
    acceptable_rate: float
    unacceptable_rate: float


def signals_problem(signals: Sequence[Signal]) -> str | None:
    """Return why a release cannot state these signals, or None."""
    if len(signals) > MAX_SIGNALS:
        return f"A release states at most {MAX_SIGNALS} signals, not {len(signals)}."
    names = [one.name for one in signals]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return f"The signal {twice!a:.100} is stated twice."
    return next((problem for one in signals if (problem := _signal_problem(one))), None)


def _signal_problem(signal: Signal) -> str | None:
    if not _NAME.match(signal.name):
        return f"A signal's name is 1 to 40 of a-z, 0-9, _ and -; {signal.name!a:.100} is not."
    low, high = signal.acceptable_rate, signal.unacceptable_rate
    if not math.isfinite(signal.limit):
        return f"The limit of {signal.name} must be a finite number, not {signal.limit}."
    if not MIN_RATE <= low < high <= 1 - MIN_RATE:
        return f"Rates must be {MIN_RATE} <= acceptable < unacceptable <= {1 - MIN_RATE}; {signal.name}: {low}, {high}."
    if high < MIN_RATE_RATIO * low:
        return f"The unacceptable rate of {signal.name} must be {MIN_RATE_RATIO} times {low} at least, not {high}."
    return None


def halt_codes_problem(codes: Sequence[str]) -> str | None:
    """Return why these cannot be codes that halt at once, or None."""
    if len(codes) > MAX_HALT_CODES or len(set(codes)) != len(codes):
        return f"A release states at most {MAX_HALT_CODES} codes that halt at once, each one time."
    wrong = next((code for code in codes if not _CODE.match(code)), None)
    return (
        None
        if wrong is None
        else f"A code is 1 to 80 printable ASCII characters without blanks; {wrong!a:.100} is not."
    )
