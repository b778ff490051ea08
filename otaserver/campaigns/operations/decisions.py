"""Decisions: each is a row that can be replayed and an entry in the tenant's audit chain."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from otaserver.audit import operations as audit
from otaserver.campaigns.errors import ReasonMissingError
from otaserver.campaigns.models import Campaign, Decision, Wave

ENGINE = "engine"


def draft(
    campaign: Campaign, kind: str, sentence: str, *, by: str, at: datetime, wave: Wave | None = None, **inputs: Any
) -> Decision:
    """Return a decision that is not stored yet: `record` stores it last, since it locks the audit chain's head."""
    return Decision(campaign=campaign, wave=wave, at=at, kind=kind, actor=by, sentence=sentence, inputs=inputs)


def record(campaign: Campaign, decisions: Iterable[Decision]) -> None:
    """Store decisions and audit them, at the end of the transaction that carries them out."""
    drafts = list(decisions)
    Decision.objects.bulk_create(drafts)
    for decision in drafts:
        audit.record(
            decision.kind,
            campaign,
            tenant=campaign.tenant,
            by=decision.actor,
            at=decision.at,
            sentence=decision.sentence,
            wave=decision.wave.number if decision.wave else None,
            **decision.inputs,
        )


def vehicles(count: int) -> str:
    """Return how many vehicles, in words for a sentence."""
    return "1 vehicle" if count == 1 else f"{count} vehicles"


def require_reason(reason: str) -> str:
    """Return the reason, without blanks around it.

    Raises:
        ReasonMissingError: there is none.
    """
    stripped = reason.strip()
    if not stripped:
        raise ReasonMissingError("This needs a reason, in a sentence.")
    return stripped
