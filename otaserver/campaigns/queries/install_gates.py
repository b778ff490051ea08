from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from otaserver.campaigns.queries.vehicle_orders import VehicleOrder, order_with_id
from otaserver.campaigns.rules import install_gate as rules
from otaserver.campaigns.rules.delivery import Delivery
from otaserver.campaigns.rules.install_gate import Hold
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet.models import AttributeValue, Vehicle


@dataclass(frozen=True)
class InstallGate:
    """Whether a vehicle may go on with an order: not if it was withdrawn, and not yet while something holds it."""

    is_withdrawn: bool
    hold: Hold | None

    @property
    def is_open(self) -> bool:
        return not self.is_withdrawn and self.hold is None


def install_gate(vehicle: Vehicle, order: VehicleOrder) -> InstallGate:
    """Return whether the vehicle may install this order of its own at the moment for which it was described."""
    if not order.is_open or not order.is_latest or order.delivery == Delivery.WITHDRAW:
        return InstallGate(is_withdrawn=True, hold=None)
    found = rules.hold(
        order.delivery,
        is_installing=order.state == AssignmentState.INSTALLING,
        conditions=order.preconditions,
        attributes=_attributes(vehicle) if order.preconditions else {},
    )
    return InstallGate(is_withdrawn=False, hold=found)


def gate_of_attempt(vehicle: Vehicle, attempt: UUID, *, at: datetime) -> tuple[VehicleOrder, InstallGate]:
    """Return one of the vehicle's orders, and whether it may go on with it.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
    """
    order = order_with_id(vehicle, attempt, at=at)
    return order, install_gate(vehicle, order)


def _attributes(vehicle: Vehicle) -> dict[str, Any]:
    rows = AttributeValue.objects.filter(vehicle=vehicle)
    return {
        name: next((value for value in values if value is not None), None)
        for name, *values in rows.values_list("attribute__name", "text", "number", "boolean")
    }
