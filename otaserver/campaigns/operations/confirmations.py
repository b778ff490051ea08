"""Consent as a vehicle confirms or denies an order by its protocol, or all orders to come at once."""

import hashlib
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from django.db import transaction

from otaserver.campaigns.errors import StandingConsentGivenError, TooManyConsentsError
from otaserver.campaigns.models import Assignment
from otaserver.campaigns.operations.consents import ConsentAnswer, record_consent
from otaserver.campaigns.operations.undeliverable import take_back_undeliverable
from otaserver.campaigns.queries import VehicleOrder, current_order
from otaserver.campaigns.records import StandingConsent
from otaserver.campaigns.rules.delivery import Delivery
from otaserver.campaigns.states import ConsentDecision
from otaserver.fleet.models import Vehicle

# These protocols carry no text that the owner was shown, and no language.
_NO_TEXT = hashlib.sha256(b"").hexdigest()
_LANGUAGE = "und"


@transaction.atomic
def confirm_order(vehicle: Vehicle, *, attempt: UUID | int, is_agreed: bool, by: str, at: datetime) -> None:
    """Record that a vehicle confirms its order, or denies it; the last answer counts until it installs.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
        TooManyConsentsError: as many answers are stored as the server keeps.
    """
    decision = ConsentDecision.YES if is_agreed else ConsentDecision.NO
    record_consent(
        vehicle,
        ConsentAnswer(decision, by, _LANGUAGE, _NO_TEXT),
        attempt=attempt,
        record_id=f"{decision}:{at.isoformat()}",
        device_time=None,
        at=at,
    )


@transaction.atomic
def give_standing_consent(vehicle: Vehicle, *, initiator: str = "", remark: str = "", at: datetime) -> None:
    """Let a vehicle agree to its order and to every one to come.

    Raises:
        StandingConsentGivenError: it does already.
    """
    _, is_new = StandingConsent.objects.get_or_create(
        vehicle=vehicle, defaults={"initiator": initiator[:64], "remark": remark[:255], "given_at": at}
    )
    if not is_new:
        raise StandingConsentGivenError(f"{vehicle} agrees to every order already.")
    order_to_carry_out(vehicle, at=at)


def take_back_standing_consent(vehicle: Vehicle) -> None:
    """Let a vehicle be asked again from the next order on. Taking back none changes nothing."""
    StandingConsent.objects.filter(vehicle=vehicle).delete()


def note_question(vehicle: Vehicle, order: VehicleOrder, *, at: datetime) -> None:
    """Note that a vehicle hears now that its owner is to be asked, or that it goes ahead unanswered; each once.

    A deadline runs from the first question (`rules.consent.goes_ahead_at`). Of an order without one nothing changes.
    """
    if order.delivery == Delivery.ASK and order.asked_at is None:
        Assignment.objects.filter(attempts=order.attempt_id, asked_at=None).update(asked_at=at)
    elif order.is_deadline_news and order.delivery in (Delivery.INSTALL, Delivery.DOWNLOAD):
        answer = ConsentAnswer(ConsentDecision.DEADLINE, "server", _LANGUAGE, _NO_TEXT)
        # A later owner is asked anew, and has a deadline of their own.
        name = f"deadline:{order.goes_ahead_at}"
        # Where no more answers are kept, the vehicle goes ahead all the same.
        with suppress(TooManyConsentsError):
            record_consent(vehicle, answer, attempt=order.number, record_id=name, device_time=None, at=at)


def order_to_carry_out(vehicle: Vehicle, *, at: datetime) -> VehicleOrder | None:
    """Return the vehicle's current order, having agreed to it first where its standing consent says so.

    One that its client could not carry out is taken back instead.
    """
    order = current_order(vehicle, at=at)
    if order is None or take_back_undeliverable(vehicle, order, at=at):
        return None
    standing = StandingConsent.objects.filter(vehicle=vehicle).first() if order.delivery == Delivery.ASK else None
    if standing is None:
        note_question(vehicle, order, at=at)
        return order
    confirm_order(vehicle, attempt=order.number, is_agreed=True, by=standing.initiator or "auto-confirm", at=at)
    return current_order(vehicle, at=at)
