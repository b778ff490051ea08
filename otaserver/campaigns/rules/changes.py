"""What of a campaign may be changed when: all of a draft, little of one that vehicles follow, nothing else."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from otaserver.campaigns.rules.windows import Window, narrows
from otaserver.campaigns.states import CampaignState, HaltAction
from otaserver.tenants.states import ForeignSoftware


class Allowance(Enum):
    """How a field of a campaign that has left its review may be changed; always with a reason."""

    EITHER_WAY = "it may be changed, with a reason"
    STRICTER = "it may only be made stricter"


# What people have approved stands, but for how fast and how patiently it is carried out, and when it stops. A field
# that is not here never changes: release, group and waves, and everything that the gate's statistics rest on.
LIVE: Mapping[str, Allowance] = {
    "max_in_flight": Allowance.EITHER_WAY,
    "max_failed": Allowance.EITHER_WAY,
    "failure_budget": Allowance.EITHER_WAY,
    "wave_rule": Allowance.EITHER_WAY,
    "offer_timeout_seconds": Allowance.EITHER_WAY,
    "download_timeout_seconds": Allowance.EITHER_WAY,
    "install_timeout_seconds": Allowance.EITHER_WAY,
    "max_attempts": Allowance.EITHER_WAY,
    "retry_seconds": Allowance.EITHER_WAY,
    "ends_at": Allowance.EITHER_WAY,
    "offers_per_minute": Allowance.EITHER_WAY,
    "bytes_per_hour": Allowance.EITHER_WAY,
    # When owners' cars install, before whose orders this one goes, and what becomes of software from elsewhere, is
    # what people have approved: one person alone takes away from it, and adds nothing.
    "windows": Allowance.STRICTER,
    "priority": Allowance.STRICTER,
    "halt_action": Allowance.STRICTER,
    "foreign_software": Allowance.STRICTER,
    # One more verification failure means an attack or a publishing error; an offline permit cannot be called back.
    "max_verification_failed": Allowance.STRICTER,
    "halt_codes": Allowance.STRICTER,
    "grace_hours": Allowance.STRICTER,
}
LIVE_STATES = frozenset(
    {CampaignState.SCHEDULED, CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED},
)
# A roll-back is for the vehicles that run what it takes back, all at once; only how it goes about it is planned.
_NOT_OF_ROLLBACKS = frozenset({"release", "group", "waves", "fallback_release", "no_way_back_reason"})


@dataclass(frozen=True)
class FieldChange:
    """One field of a plan before and after a change."""

    field: str
    before: object
    after: object


@dataclass(frozen=True)
class Refusal:
    """Why a plan cannot be changed so: the field, the value that was wanted, and the rule."""

    field: str
    value: object
    rule: str


def refusal(state: str, changes: Sequence[FieldChange], *, is_rollback: bool) -> Refusal | None:
    """Return the first of the changes that a campaign in this state does not allow, or None."""
    for change in changes:
        rule = _broken_rule(state, change, is_rollback=is_rollback)
        if rule is not None:
            return Refusal(change.field, change.after, rule)
    return None


def _broken_rule(state: str, change: FieldChange, *, is_rollback: bool) -> str | None:
    if is_rollback and change.field in _NOT_OF_ROLLBACKS:
        return f"{change.field} of a roll-back follows from what it takes back"
    if state == CampaignState.DRAFT:
        return None
    if state not in LIVE_STATES:
        return f"nothing of a campaign that is {state} is changed"
    allowance = LIVE.get(change.field)
    if allowance is None:
        return f"{change.field} stays as it was approved"
    if allowance is Allowance.STRICTER and not _is_stricter(change):
        return f"{change.field} may only be made stricter than {change.before!r} while the campaign is {state}"
    return None


def _is_stricter(change: FieldChange) -> bool:
    return _STRICTER[change.field](change.before, change.after)


def _at_most(before: object, after: object, *, nothing: float = math.inf) -> bool:
    return _number(after, nothing) <= _number(before, nothing)


def _number(value: object, nothing: float) -> float:
    return float(value) if isinstance(value, int | float) else nothing


def _adds(before: object, after: object) -> bool:
    return isinstance(before, Sequence) and isinstance(after, Sequence) and set(before) <= set(after)


def _narrows(before: object, after: object) -> bool:
    return narrows(_windows(before), _windows(after))


def _windows(value: object) -> Sequence[Window]:
    return [each for each in value if isinstance(each, Window)] if isinstance(value, Sequence) else []


# From what a halt leaves standing most to least.
_HALTS: Sequence[str] = (HaltAction.HOLD_OFFERS, HaltAction.WITHDRAW, HaltAction.ROLL_BACK)
_STRICTER: Mapping[str, Callable[[object, object], bool]] = {
    "windows": _narrows,
    # The class with the higher number goes later.
    "priority": lambda before, after: _at_most(after, before),
    "halt_action": lambda before, after: _HALTS.index(str(before)) <= _HALTS.index(str(after)),
    # Flagging it does nothing to a vehicle, and settles nothing by itself.
    "foreign_software": lambda _, after: after == ForeignSoftware.FLAG,
    "max_verification_failed": _at_most,
    "halt_codes": _adds,
    # No offline permit at all is the strictest.
    "grace_hours": lambda before, after: _at_most(before, after, nothing=-1),
}
