"""The owner's consent: asked, put off and remembered, so that nobody is asked twice and nobody is passed over."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from clients.vehicle.hooks import ConsentQuestion, HookResult, Verdict
from clients.vehicle.order import Order, format_time, parse_time

YES, NO, POSTPONE, SHOWN, DEADLINE = "yes", "no", "postpone", "shown", "deadline"
NOBODY_NAMED = "owner"
AGAIN_SECONDS = 86400


@dataclass(frozen=True)
class Asking:
    """How far the question of one order is; part of the journal. Times in the form of metadata, empty for never."""

    about: str = ""  # which terms and texts: an answer to others does not count
    asked_at: str = ""
    postponed: int = 0
    not_before: str = ""  # the owner is left in peace until then
    last_shown_at: str = ""  # when the last question was first on the screen
    decision: str = ""  # with which it may go ahead


NOT_ASKED = Asking()


@dataclass(frozen=True)
class Answer:
    """What an asked owner's answer leads to: how far the question is now, what to record, and whether it is a no."""

    asking: Asking
    record: str = ""
    is_refused: bool = False


def asking_about(order: Order, asking: Asking) -> Asking:
    """Return how far the question of this order is; of one with other terms or texts, it is asked afresh."""
    stated = json.dumps([order.attempt, dict(order.consent or {}), dict(order.notes)], sort_keys=True)
    about = hashlib.sha256(stated.encode()).hexdigest()
    return asking if asking.about == about else Asking(about)


def is_resting(order: Order, asking: Asking, at: datetime) -> bool:
    """Return whether the owner has put the question off and is not to be asked again yet."""
    if not asking.not_before or at >= parse_time(asking.not_before):
        return False
    deadline = _deadline(order, asking)
    return deadline is None or at < deadline


def question(order: Order, asking: Asking, language: str, at: datetime) -> ConsentQuestion:
    """Return what to ask the owner now. The last question says that it goes ahead anyway."""
    left = _limit(order, "postponements")
    return ConsentQuestion(
        attempt=order.attempt,
        release=order.release,
        consent=order.consent or {},
        notes=order.notes_in(language),
        language=language,
        may_refuse=not _has_deadline(order),
        is_last=_is_last(order, asking, at),
        postponements_left=None if left is None else max(0, left - asking.postponed),
    )


def answered(order: Order, asking: Asking, asked: ConsentQuestion, result: HookResult, at: datetime) -> Answer:
    """Return what an answer leads to. A hook that says nothing of an owner has asked nobody, and nothing moves."""
    decision = result.decision or {Verdict.YES: YES, Verdict.NO: NO}.get(result.verdict, "")
    if not decision:
        return Answer(asking)
    now = format_time(at)
    asking = replace(asking, asked_at=asking.asked_at or now)
    if decision == YES:
        return Answer(replace(asking, decision=YES), YES)
    if decision == NO and asked.may_refuse:
        return Answer(asking, NO, is_refused=True)
    if not asked.is_last:
        if decision == SHOWN:
            return Answer(asking)
        rest = format_time(at + _again(order))
        return Answer(replace(asking, postponed=asking.postponed + 1, not_before=rest), POSTPONE)
    asking = replace(asking, last_shown_at=asking.last_shown_at or now)
    # An owner who has not answered the last question has a day to see it.
    if decision == SHOWN and at < parse_time(asking.last_shown_at) + _again(order):
        return Answer(asking)
    return Answer(replace(asking, decision=DEADLINE), DEADLINE)


def record(order: Order, asked: ConsentQuestion, result: HookResult, decision: str) -> dict[str, Any]:
    """Return the record of an answer: who, in which language, and to which exact text."""
    language = order.notes_tag(result.language or asked.language) or asked.language
    text = order.notes_in(language) if result.text is None else result.text
    return {
        "decision": decision,
        "by": result.by or NOBODY_NAMED,
        "language": language,
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _is_last(order: Order, asking: Asking, at: datetime) -> bool:
    if not _has_deadline(order):
        return False
    limit, deadline = _limit(order, "postponements"), _deadline(order, asking)
    return (limit is not None and asking.postponed >= limit) or (deadline is not None and at >= deadline)


def _deadline(order: Order, asking: Asking) -> datetime | None:
    seconds = _limit(order, "deadline_seconds")
    if seconds is None or not asking.asked_at or not _has_deadline(order):
        return None
    return parse_time(asking.asked_at) + timedelta(seconds=seconds)


def _has_deadline(order: Order) -> bool:
    return _terms(order).get("kind") == "ask_with_deadline"


def _limit(order: Order, name: str) -> int | None:
    found = _terms(order).get(name)
    # What cannot be read is no limit: then it does not go ahead by itself.
    return found if type(found) is int and found >= 0 else None


def _again(order: Order) -> timedelta:
    seconds = _terms(order).get("again_seconds")
    return timedelta(seconds=seconds if type(seconds) is int and seconds > 0 else AGAIN_SECONDS)


def _terms(order: Order) -> Mapping[str, Any]:
    return order.consent or {}
