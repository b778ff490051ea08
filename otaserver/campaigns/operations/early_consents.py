"""An owner's answer that a vehicle brings before anything is ordered of it."""

import hashlib
from datetime import datetime

from django.db import transaction

from otaserver.campaigns.errors import ConsentNotAwaitedError
from otaserver.campaigns.models import Assignment, ConsentRecord
from otaserver.campaigns.operations.consents import ConsentAnswer, store_answer
from otaserver.campaigns.queries.awaited_consents import awaited
from otaserver.campaigns.rules.consent import WITHHELD_FOR_CONSENT
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet.models import Vehicle

# Its client does not say who pressed the button.
OWNER = "owner"


@transaction.atomic
def record_early_consent(
    vehicle: Vehicle, *, assignment_id: int, decision: str, record_id: str, device_time: datetime | None, at: datetime
) -> ConsentRecord:
    """Store what a vehicle says that its owner answered to a question of `queries.awaited_consents`.

    An order that was kept back for want of it has its turn at the next tick. A record with an id that was seen before
    changes nothing.

    Raises:
        ConsentNotAwaitedError: the vehicle was not asked that.
        ConsentRefusedError: it is no answer.
        TooManyConsentsError: of this assignment as many are stored as the server keeps.
    """
    rows = Assignment.objects.filter(pk=assignment_id, vehicle=vehicle).select_related("campaign__release")
    assignment = rows.first()
    if assignment is None:
        raise ConsentNotAwaitedError(f"{vehicle} was not asked about {assignment_id}.", asked=str(assignment_id))
    same = ConsentRecord.objects.filter(assignment=assignment, record_id=record_id).first()
    if same is not None:
        return same
    if assignment.state != AssignmentState.WAITING or assignment.code != WITHHELD_FOR_CONSENT:
        raise ConsentNotAwaitedError(f"No answer of {vehicle} is awaited any more.", asked=str(assignment_id))
    question = awaited(assignment, vehicle)
    text_sha256 = hashlib.sha256(question.text.encode()).hexdigest()
    answer = ConsentAnswer(decision=decision, by=OWNER, language=question.language, text_sha256=text_sha256)
    record = store_answer(assignment, answer, record_id=record_id, vehicle=vehicle, device_time=device_time, at=at)
    Assignment.objects.filter(pk=assignment.pk, state=AssignmentState.WAITING, code=WITHHELD_FOR_CONSENT).update(
        next_attempt_at=None
    )
    return record
