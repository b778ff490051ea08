"""Which orders the server keeps back itself, because a vehicle's protocol cannot hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from otaserver.campaigns.rules import preconditions
from otaserver.campaigns.rules.capabilities import Capability
from otaserver.campaigns.rules.consent import WITHHELD_FOR_CONSENT
from otaserver.campaigns.states import ConsentDecision


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
NOT_RECORDED = "its client cannot ask the owner, and no consent is recorded"
_UNAGREED: Mapping[str, str] = {
    ConsentDecision.NO: "the owner has said no",
    ConsentDecision.POSTPONE: "the owner has put it off",
}


def reason(
    able: Capability,
    *,
    is_window_open: bool,
    needs_consent: bool,
    answer: str | None,
    conditions: Sequence[Mapping[str, Any]],
    attributes: Mapping[str, Any],
) -> Withheld | None:
    """Return why a vehicle's order is kept back now, or None: it may be given out.

    A client that cannot hold installs what it gets, at once: it gets it inside a window, and where the owner agreed.
    What it cannot echo is judged by its declared attributes; one that it never declared is not met. `answer`: the
    owner's last one; after a no it waits for a yes, as long as the campaign waits for any vehicle.
    """
    if not able.can_hold and not is_window_open:
        return SHUT_WINDOW
    if not able.awaits_consent and needs_consent and answer != ConsentDecision.YES:
        return Withheld(WITHHELD_FOR_CONSENT, _UNAGREED.get(answer or "", NOT_RECORDED))
    if not (able.can_hold and able.echoes_preconditions):
        lacking = preconditions.unmet(conditions, attributes)
        if lacking:
            return Withheld("withheld_precondition", f"its client cannot judge it itself: {'; '.join(lacking)}")
    return None
