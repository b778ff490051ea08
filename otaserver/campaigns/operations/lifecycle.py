"""A vehicle changes hands, or ends: what campaigns hold of it ends with that."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.campaigns.models import Assignment, Attempt, ConsentRecord
from otaserver.campaigns.operations import assignments
from otaserver.campaigns.operations.confirmations import take_back_standing_consent
from otaserver.campaigns.rules.failures import DECOMMISSIONED
from otaserver.campaigns.states import STOPPABLE_STATES, AssignmentState
from otaserver.fleet import operations as fleet
from otaserver.fleet.errors import ReasonMissingError
from otaserver.fleet.models import Vehicle

_MESSAGE = "The vehicle was decommissioned."


@dataclass(frozen=True)
class Sale:
    """What a vehicle's new owner begins with, and how much ended. The claim code is not kept: this is the only copy."""

    claim_code: str
    claim_code_expires_at: datetime
    ended: fleet.Ended
    consents: int


@dataclass(frozen=True)
class Decommission:
    """How much ended with a vehicle."""

    ended: fleet.Ended
    assignments: int


@transaction.atomic
def record_sale(
    vehicle: Vehicle, *, reason: str, by: str, at: datetime, valid_for: timedelta = timedelta(days=30)
) -> Sale:
    """End what a vehicle had of its owner, and return the claim code with which it enrols for the next one.

    Its credentials and unused claim codes end now, the values of personal attributes are cleared, and what the owner
    had answered binds nobody any more. What it runs, and its part in campaigns, stay with the vehicle; an order that is
    there already waits until it has enrolled.

    Raises:
        ReasonMissingError: no reason given.
        VehicleDecommissionedError: it has ended.
    """
    _require(reason)
    fleet.refuse_decommissioned(vehicle)
    consents = ConsentRecord.objects.filter(assignment__vehicle=vehicle, ended_at=None).update(ended_at=at)
    take_back_standing_consent(vehicle)
    # The next owner is asked for the first time.
    Assignment.objects.filter(vehicle=vehicle, asked_at__isnull=False).update(asked_at=None)
    ended = fleet.end_ownership(vehicle, at=at)
    code = fleet.create_claim_code(vehicle.tenant, vehicle.vehicle_id, at=at, valid_for=valid_for)
    audit.record(
        "vehicle.sold",
        vehicle,
        tenant=vehicle.tenant,
        by=by,
        at=at,
        reason=reason.strip(),
        credentials=ended.credentials,
        claim_codes=ended.claim_codes,
        attributes=ended.attributes,
        consents=consents,
    )
    return Sale(code, at + valid_for, ended, consents)


@transaction.atomic
def decommission_vehicle(vehicle: Vehicle, *, reason: str, by: str, at: datetime) -> Decommission:
    """End a vehicle: it can prove itself no more, is in no group, and campaigns that had not begun on it let it go.

    They count it neither way. What is being installed, or soaks, is left to its own end: a car may be scrapped because
    of the update. What is known of the vehicle stays as a record.

    Raises:
        ReasonMissingError: no reason given.
        VehicleDecommissionedError: it has ended already.
    """
    _require(reason)
    enrolled_at = vehicle.enrolled_at
    take_back_standing_consent(vehicle)
    let_go = _let_go(vehicle, at=at)
    ended = fleet.mark_decommissioned(vehicle, at=at)
    audit.record(
        "vehicle.decommissioned",
        vehicle,
        tenant=vehicle.tenant,
        by=by,
        at=at,
        reason=reason.strip(),
        enrolled_at=enrolled_at.isoformat() if enrolled_at else None,
        credentials=ended.credentials,
        groups=ended.groups,
        assignments=let_go,
    )
    return Decommission(ended, let_go)


def _let_go(vehicle: Vehicle, *, at: datetime) -> int:
    states = STOPPABLE_STATES | {AssignmentState.WAITING, AssignmentState.WITHDRAWING}
    rows = Assignment.objects.filter(vehicle=vehicle, state__in=states).select_for_update(of=("self",), no_key=True)
    found = list(rows.select_related("campaign").order_by("pk"))
    for assignment in found:
        attempt = Attempt.objects.filter(assignment=assignment, closed_at=None).first()
        # It will never say that it has heard of a withdrawal.
        is_withdrawing = assignment.state == AssignmentState.WITHDRAWING
        state = AssignmentState.WITHDRAWN if is_withdrawing else AssignmentState.SUPERSEDED
        assignments.move(assignment, state, attempt=attempt, at=at, code=DECOMMISSIONED, message=_MESSAGE)
    return len(found)


def _require(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissingError("The sale or the end of a vehicle needs a reason, in a sentence.")
