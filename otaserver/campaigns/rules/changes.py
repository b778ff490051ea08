"""What of a campaign may be changed when: all of a draft, little of one that vehicles follow, nothing else."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from otaserver.campaigns.states import CampaignState


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
    "priority": Allowance.EITHER_WAY,
    "halt_action": Allowance.EITHER_WAY,
    "foreign_software": Allowance.EITHER_WAY,
    "windows": Allowance.EITHER_WAY,
    "offers_per_minute": Allowance.EITHER_WAY,
    "bytes_per_hour": Allowance.EITHER_WAY,
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
    before, after = change.before, change.after
    if isinstance(before, Sequence) and isinstance(after, Sequence):
        return set(before) <= set(after)
    # No offline permit at all is the strictest; of limits none is the loosest.
    nothing = -1 if change.field == "grace_hours" else math.inf
    return _number(after, nothing) <= _number(before, nothing)


def _number(value: object, nothing: float) -> float:
    return float(value) if isinstance(value, int | float) else nothing
