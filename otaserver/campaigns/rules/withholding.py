"""Which orders the server keeps back itself, because a vehicle's protocol cannot hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from otaserver.campaigns.rules import preconditions
from otaserver.campaigns.rules.consent import WITHHELD_FOR_CONSENT


@dataclass(frozen=True)
class Abilities:
    """What a client can do: hold an order until it may be installed, judge preconditions and say what it saw, and
    keep an order that its owner has not agreed to."""

    can_hold: bool
    echoes_preconditions: bool
    awaits_consent: bool


UPTANE = Abilities(can_hold=True, echoes_preconditions=True, awaits_consent=True)


@dataclass(frozen=True)
class Withheld:
    """Why an order is kept back: a stable code, and a sentence with the values."""

    code: str
    sentence: str


# How long until a vehicle whose order is kept back has its turn again.
LOOK_AGAIN = timedelta(minutes=5)
SHUT_WINDOW = Withheld("withheld_window", "its client cannot wait for a window, and none is open")
MISSED_WINDOW = Withheld(
    "withheld_window_missed", "its client cannot wait for a window, and did not ask while one was open"
)


def reason(
    abilities: Abilities,
    *,
    is_window_open: bool,
    needs_consent: bool,
    has_consent: bool,
    conditions: Sequence[Mapping[str, Any]],
    attributes: Mapping[str, Any],
) -> Withheld | None:
    """Return why a vehicle's order is kept back now, or None: it may be given out.

    A client that cannot hold installs what it gets, at once: it gets it inside a window, and where the owner agreed.
    What it cannot echo is judged by its declared attributes; one that it never declared is not met.
    """
    if not abilities.can_hold and not is_window_open:
        return SHUT_WINDOW
    if not abilities.awaits_consent and needs_consent and not has_consent:
        return Withheld(WITHHELD_FOR_CONSENT, "its client cannot ask the owner, and no consent is recorded")
    if not (abilities.can_hold and abilities.echoes_preconditions):
        lacking = preconditions.unmet(conditions, attributes)
        if lacking:
            return Withheld("withheld_precondition", f"its client cannot judge it itself: {'; '.join(lacking)}")
    return None
