"""Events that come as a list: each is stored or refused by itself, and all that are reports in one go."""

from collections.abc import Callable, Sequence
from typing import Any

from otaserver.campaigns import operations as campaigns
from otaserver.errors import OtaError


def record(events: Sequence[Any], read: Callable[[Any], campaigns.Told | None]) -> dict[str, Any]:
    """Record what `read` makes of each event (None: nothing is left to record), and return the answer to them all.

    One bad event must not cost the others: it is listed as rejected, with its id where it has one.
    """
    refusals: dict[int, OtaError] = {}
    told: dict[int, campaigns.Told] = {}
    for number, event in enumerate(events):
        try:
            one = read(event)
        except OtaError as refusal:
            refusals[number] = refusal
            continue
        if one is not None:
            told[number] = one
    found = campaigns.record_together(list(told.values()))
    refusals |= {number: refusal for number, refusal in zip(told, found, strict=True) if refusal is not None}
    rejected = [
        {"id": _id_of(events[number]), "code": refusal.code, "detail": refusal.message}
        for number, refusal in sorted(refusals.items())
    ]
    return {"accepted": len(events) - len(rejected), "rejected": rejected}


def _id_of(event: Any) -> str | None:
    found = event.get("id") if isinstance(event, dict) else None
    return found if isinstance(found, str) else None
