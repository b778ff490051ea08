"""Consent: whether an owner is asked, how often an answer may be put off, and what an order says of it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from otaserver.campaigns.states import Consent, ConsentDecision

MAX_POSTPONEMENTS = 100
MAX_DEADLINE_SECONDS = 366 * 86400
MAX_BY_LENGTH = 200
# An owner who puts it off is asked again a day later; a vehicle that asks at every poll would count him out in minutes.
ASK_AGAIN_SECONDS = 86400
WITHHELD_FOR_CONSENT = "withheld_consent"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")


@dataclass(frozen=True)
class Terms:
    """What a campaign asks of owners; of the two limits the first one reached counts."""

    consent: str
    postponements: int | None
    deadline_seconds: int | None

    @property
    def is_asked(self) -> bool:
        """Return whether owners are asked at all."""
        return self.consent != Consent.NONE


def goes_ahead_at(terms: Terms, *, asked_at: datetime | None) -> datetime | None:
    """Return when an owner who has not agreed is asked no more, or None: never, or he was not asked yet.

    It counts from the first question that could reach him: a parked vehicle hears of its order weeks after the offer.
    """
    if asked_at is None or terms.deadline_seconds is None:
        return None
    return asked_at + timedelta(seconds=terms.deadline_seconds)


def terms_problem(terms: Terms) -> str | None:
    """Return why a campaign cannot ask owners so, or None."""
    if terms.consent not in Consent.values:
        return f"Consent is one of {', '.join(Consent.values)}; {terms.consent!r} is not."
    limits = (terms.postponements, terms.deadline_seconds)
    if terms.consent != Consent.ASK_WITH_DEADLINE:
        given = next((limit for limit in limits if limit is not None), None)
        if given is not None:
            return f"Only consent ask_with_deadline has postponements or a deadline; {terms.consent} has {given}."
        return None
    if limits == (None, None):
        return "Consent ask_with_deadline needs a number of postponements, a deadline in seconds, or both."
    if terms.postponements is not None and not 0 <= terms.postponements <= MAX_POSTPONEMENTS:
        return f"An owner may postpone 0 to {MAX_POSTPONEMENTS} times, not {terms.postponements}."
    if terms.deadline_seconds is not None and not 1 <= terms.deadline_seconds <= MAX_DEADLINE_SECONDS:
        return (
            f"The deadline is 1 to {MAX_DEADLINE_SECONDS} seconds after the first question, "
            f"not {terms.deadline_seconds}."
        )
    return None


def patience_problem(terms: Terms, *, patience_seconds: int) -> str | None:
    """Return why a deadline could be reached on no vehicle, or None: no order stands for longer than the patience."""
    if terms.consent != Consent.ASK_WITH_DEADLINE:
        return None
    # Put off each time, a question comes once a day.
    by_postponements = None if terms.postponements is None else terms.postponements * ASK_AGAIN_SECONDS
    limits = [limit for limit in (by_postponements, terms.deadline_seconds) if limit is not None]
    reached = min(limits, default=0)
    if reached < patience_seconds:
        return None
    return (
        f"The owner's deadline is {reached} seconds after the first question at the earliest, and an order stands for "
        f"{patience_seconds} at most, offer and download together: it would never go ahead."
    )


def signed(terms: Terms) -> dict[str, Any] | None:
    """Return what orders say of consent, or None: nobody is asked."""
    if terms.consent == Consent.NONE:
        return None
    return {
        "kind": str(terms.consent),
        "postponements": terms.postponements,
        "deadline_seconds": terms.deadline_seconds,
        "again_seconds": ASK_AGAIN_SECONDS,
    }


def record_problem(*, decision: str, by: str, language: str, text_sha256: str) -> str | None:
    """Return why this cannot be the record of an owner's answer, or None."""
    if decision not in ConsentDecision.values:
        return f"A decision is one of {', '.join(ConsentDecision.values)}; {decision[:40]!r} is not."
    if not 1 <= len(by) <= MAX_BY_LENGTH or not by.isprintable():
        return f"Who decided is named in 1 to {MAX_BY_LENGTH} printable characters; {by[:40]!r} is not."
    if len(language) > 35 or not _LANGUAGE.match(language):
        return f"The language is a tag like en or de-AT; {language[:40]!r} is none."
    if not _SHA256.match(text_sha256):
        return f"The text shown is named by its SHA-256 in 64 lower-case hex digits; {text_sha256[:80]!r} is not."
    return None


def has_text(notes: Mapping[str, str], text_sha256: str) -> bool:
    """Return whether the text shown is one of the release notes that the order carried, or empty if it had none."""
    return text_sha256 in {hashlib.sha256(text.encode()).hexdigest() for text in (notes.values() or [""])}
