"""What a vehicle may do with its order now, for protocols whose every answer says so afresh."""

from dataclasses import dataclass
from enum import Enum

from otaserver.campaigns.states import AssignmentState


class Delivery(Enum):
    """What the next answer tells the vehicle to do."""

    INSTALL = "install"  # download, and install
    DOWNLOAD = "download"  # download, and wait at the install gate
    ASK = "ask"  # wait for the owner's answer
    WITHHOLD = "withhold"  # nothing: as if there were no order
    WITHDRAW = "withdraw"  # drop it


@dataclass(frozen=True)
class Facts:
    """What that depends on. `is_stopped`: the vehicle is blocked, or its tenant stopped."""

    state: AssignmentState
    is_stopped: bool
    are_packages_published: bool
    can_hold: bool
    is_window_open: bool
    needs_consent: bool
    has_consent: bool


def delivery(facts: Facts) -> Delivery:
    """Return what a vehicle may do with an order; `installing` is never interrupted."""
    if facts.state == AssignmentState.INSTALLING:
        return Delivery.INSTALL
    if facts.state == AssignmentState.WITHDRAWING or facts.is_stopped or not facts.are_packages_published:
        return Delivery.WITHDRAW
    if facts.needs_consent and not facts.has_consent:
        return Delivery.ASK
    if facts.is_window_open:
        return Delivery.INSTALL
    return Delivery.DOWNLOAD if facts.can_hold else Delivery.WITHHOLD
