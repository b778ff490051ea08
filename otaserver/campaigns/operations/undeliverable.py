"""Orders that turn out to be more than a vehicle's client can take, once it says what it is."""

from datetime import datetime

from django.db import transaction

from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.queries import VehicleOrder
from otaserver.campaigns.rules import capabilities
from otaserver.campaigns.states import AssignmentState, Verdict
from otaserver.director import operations as director
from otaserver.fleet.models import Vehicle


def take_back_undeliverable(vehicle: Vehicle, order: VehicleOrder, *, at: datetime) -> bool:
    """Take an order back that the vehicle's client could not carry out, and return whether it was one.

    A vehicle that had never called when it was offered the release is judged anew, with what it calls itself: it takes
    no part, and its assignment says why.
    """
    takes_one = capabilities.takes_one(vehicle.protocol, vehicle.client)
    if not takes_one or not capabilities.delivery_problem(vehicle.protocol, len(order.package_ids), takes_one=True):
        return False
    return _take_back(vehicle, order, at=at)


@transaction.atomic
def _take_back(vehicle: Vehicle, order: VehicleOrder, *, at: datetime) -> bool:
    rows = Assignment.objects.filter(attempts=order.attempt_id, state=AssignmentState.OFFERED)
    if not rows.update(state=AssignmentState.WAITING, due_at=None, offered_at=None, code="", message=""):
        return False
    Attempt.objects.filter(pk=order.attempt_id).update(closed_at=at, code=Verdict.NOT_DELIVERABLE)
    director.direct({vehicle.pk: None}, at=at)
    return True
