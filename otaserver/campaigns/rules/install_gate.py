"""Whether an order may be installed at this moment, for clients that ask the server right before they do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otaserver.campaigns.rules import preconditions
from otaserver.campaigns.rules.delivery import Delivery


@dataclass(frozen=True)
class Hold:
    """Why a vehicle waits: a code of the failure catalogue, and a sentence with the values."""

    code: str
    sentence: str


_SHUT: Mapping[Delivery, Hold] = {
    Delivery.ASK: Hold("consent", "The owner has not agreed yet."),
    Delivery.DOWNLOAD: Hold("window", "None of the order's windows is open."),
    Delivery.WITHHOLD: Hold("window", "None of the order's windows is open."),
}


def hold(
    delivery: Delivery, *, is_installing: bool, conditions: Sequence[Mapping[str, Any]], attributes: Mapping[str, Any]
) -> Hold | None:
    """Return why an order that was not withdrawn is held at the gate, or None: it may be installed.

    What is being installed is held no more. Preconditions are judged by what the vehicle last said of itself; what it
    never said is not met.
    """
    if is_installing:
        return None
    shut = _SHUT.get(delivery)
    if shut is not None:
        return shut
    lacking = preconditions.unmet(conditions, attributes)
    return Hold("precondition", f"{'; '.join(lacking)}.") if lacking else None
