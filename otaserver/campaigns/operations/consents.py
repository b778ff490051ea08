"""Consent, as owners gave it: said by their vehicles, or recorded on their behalf."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from firmware_store.models import Release
from otaserver.audit import operations as audit
from otaserver.campaigns.errors import ConsentRefusedError, TooManyConsentsError
from otaserver.campaigns.models import Assignment, Attempt, ConsentRecord
from otaserver.campaigns.operations import reports
from otaserver.campaigns.rules import consent as rules
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet.models import Vehicle

# Of each assignment: an owner who puts it off every day for half a year is still heard.
MAX_RECORDS = 200


@dataclass(frozen=True)
class ConsentAnswer:
    """What an owner decided, who that was, and the SHA-256 of the exact text shown, in that language."""

    decision: str
    by: str
    language: str
    text_sha256: str


@transaction.atomic
def record_consent(
    vehicle: Vehicle,
    answer: ConsentAnswer,
    *,
    attempt: UUID | int,
    record_id: str,
    device_time: datetime | None,
    at: datetime,
) -> ConsentRecord:
    """Store what a vehicle says that its owner answered. It moves nothing: the vehicle acts on it, and reports that.

    A text that the order did not carry is stored all the same, and flagged. A record with an id that was seen before
    changes nothing.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
        ConsentRefusedError: it is no record of an answer.
        TooManyConsentsError: of this assignment as many are stored as the server keeps.
    """
    _check(answer)
    found = reports.attempt_of(vehicle, attempt)
    stored = ConsentRecord.objects.filter(assignment=found.assignment_id)
    same = stored.filter(record_id=record_id).first()
    if same is not None:
        return same
    release = Release.objects.get(campaigns__assignments=found.assignment_id)
    return _store(answer, found.assignment_id, found, release, record_id=record_id, device_time=device_time, at=at)


@transaction.atomic
def record_consent_on_behalf(
    assignment: Assignment, answer: ConsentAnswer, *, recorded_by: str, at: datetime
) -> ConsentRecord:
    """Store what an owner answered elsewhere (a portal, a call), for a vehicle that cannot ask itself; it is audited.

    An order that was kept back for want of it has its turn at the next tick.

    Raises:
        ConsentRefusedError: it is no record of an answer.
        TooManyConsentsError: of this assignment as many are stored as the server keeps.
    """
    _check(answer)
    campaign = assignment.campaign
    record = _store(
        answer,
        assignment.pk,
        None,
        campaign.release,
        record_id=str(uuid4()),
        device_time=None,
        at=at,
        recorded_by=recorded_by,
    )
    kept_back = Assignment.objects.filter(
        pk=assignment.pk, state=AssignmentState.WAITING, code=rules.WITHHELD_FOR_CONSENT
    )
    kept_back.update(next_attempt_at=None)
    audit.record(
        "consent.recorded",
        assignment,
        tenant=campaign.tenant,
        by=recorded_by,
        at=at,
        decision=answer.decision,
        owner=answer.by,
        language=answer.language,
        text_sha256=answer.text_sha256,
        is_text_known=record.is_text_known,
    )
    return record


def store_answer(
    assignment: Assignment,
    answer: ConsentAnswer,
    *,
    record_id: str,
    vehicle: Vehicle,
    device_time: datetime | None,
    at: datetime,
) -> ConsentRecord:
    """Store an answer that a vehicle brought without an order for it; in the caller's transaction.

    Raises:
        ConsentRefusedError: it is no record of an answer.
        TooManyConsentsError: of this assignment as many are stored as the server keeps.
    """
    _check(answer)
    return _store(
        answer,
        assignment.pk,
        None,
        assignment.campaign.release,
        record_id=record_id,
        device_time=device_time,
        at=at,
        recorded_by=f"vehicle:{vehicle}",
    )


def _check(answer: ConsentAnswer) -> None:
    problem = rules.record_problem(
        decision=answer.decision, by=answer.by, language=answer.language, text_sha256=answer.text_sha256
    )
    if problem is not None:
        raise ConsentRefusedError(problem)


def _store(
    answer: ConsentAnswer,
    assignment_id: int,
    attempt: Attempt | None,
    release: Release,
    *,
    record_id: str,
    device_time: datetime | None,
    at: datetime,
    recorded_by: str = "",
) -> ConsentRecord:
    count = ConsentRecord.objects.filter(assignment=assignment_id).count()
    if count >= MAX_RECORDS:
        raise TooManyConsentsError(f"Of this vehicle {count} answers are kept; no more are taken.", limit=MAX_RECORDS)
    record = ConsentRecord(
        assignment_id=assignment_id,
        attempt=attempt,
        record_id=record_id,
        decision=answer.decision,
        by=answer.by,
        recorded_by=recorded_by,
        language=answer.language,
        text_sha256=answer.text_sha256,
        is_text_known=rules.has_text(release.notes, answer.text_sha256),
        device_time=device_time,
        received_at=at,
    )
    # Of two deliveries at once one row remains.
    ConsentRecord.objects.bulk_create([record], ignore_conflicts=True)
    return ConsentRecord.objects.get(assignment=assignment_id, record_id=record_id)
