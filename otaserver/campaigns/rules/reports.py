"""What a vehicle's word, or its proof, does to an assignment.

Reports are claims: late, repeated and contradictory ones are recorded and change nothing. A manifest is evidence of
what runs and outranks them; it says nothing of how well it runs.
"""

from dataclasses import dataclass

from otaserver.campaigns.rules.failures import HEALTH_FAILED, PASSING_CODES, REFUSAL_CODES, SHED_CODES, WITHDRAWN
from otaserver.campaigns.states import STOPPABLE_STATES, AssignmentState, ReportOutcome, ReportPhase

# How a message begins that the server wrote in a vehicle's stead.
BY_SERVER = "Update Server: "
# The server gave up on these, yet the vehicle may carry the order out.
_GIVEN_UP = frozenset({AssignmentState.WAITING, AssignmentState.WITHDRAWN, AssignmentState.LAPSED})
_BEFORE_INSTALL = STOPPABLE_STATES | {AssignmentState.WITHDRAWING}
# After a proof that it does, or does not, run the release; in others nothing comes of one.
_PROVED = _BEFORE_INSTALL | _GIVEN_UP | {AssignmentState.INSTALLING, AssignmentState.REFUSED, AssignmentState.FAILED}
EVIDENCE_MOVES = _PROVED | {AssignmentState.SOAKING}
_PASSING = PASSING_CODES | SHED_CODES
_PROGRESS = {
    ReportPhase.DOWNLOADING: AssignmentState.DOWNLOADING,
    ReportPhase.DOWNLOADED: AssignmentState.DOWNLOADED,
    ReportPhase.HELD: AssignmentState.HELD,
}


@dataclass(frozen=True)
class Claim:
    """The part of a report that may move something."""

    phase: str
    outcome: str
    code: str


@dataclass(frozen=True)
class Move:
    """What an assignment does: go to `state` (None: stay), perhaps to try again, perhaps asking for a manifest.

    One that is tried again without an outcome does not count among its attempts.
    """

    state: AssignmentState | None = None
    outcome: ReportOutcome = ReportOutcome.NONE
    may_retry: bool = False
    wants_manifest: bool = False


_STAY = Move()
# A vehicle that had begun says that it switched nothing before its window shut: it has not begun then.
WINDOW_SHUT = Claim(ReportPhase.HELD, ReportOutcome.NONE, "window")


def after_claim(state: AssignmentState, claim: Claim, *, can_prove: bool) -> Move:
    """Return what a report on the vehicle's latest attempt does to its assignment.

    `can_prove`: the vehicle has sent a verified manifest before, so that its success is believed when it is proved.
    """
    if claim.phase in (ReportPhase.INSTALLING, ReportPhase.INSTALLED):
        begins = state in _BEFORE_INSTALL | _GIVEN_UP
        return Move(AssignmentState.INSTALLING) if begins else _STAY
    if state == AssignmentState.INSTALLING and claim == WINDOW_SHUT:
        return Move(AssignmentState.HELD)
    if claim.phase != ReportPhase.FINISHED:
        target = _PROGRESS[ReportPhase(claim.phase)]
        return Move(target) if state in STOPPABLE_STATES and state != target else _STAY
    if claim.outcome == ReportOutcome.SUCCESS:
        return _after_success(state, can_prove=can_prove)
    if claim.outcome == ReportOutcome.NONE:
        return _STAY
    if state == AssignmentState.SOAKING:
        return _during_soak(claim, can_prove=can_prove)
    return _after_failure(state, claim)


def _after_success(state: AssignmentState, *, can_prove: bool) -> Move:
    is_open = state in _BEFORE_INSTALL | _GIVEN_UP
    if not can_prove:
        is_believed = is_open or state == AssignmentState.INSTALLING
        return Move(AssignmentState.SOAKING, ReportOutcome.SUCCESS) if is_believed else _STAY
    if is_open:
        return Move(AssignmentState.INSTALLING, wants_manifest=True)
    return Move(wants_manifest=state == AssignmentState.INSTALLING)


def _during_soak(claim: Claim, *, can_prove: bool) -> Move:
    # Health is not in a manifest. Anything else contradicts what was proved: the next proof settles it.
    if claim.code == HEALTH_FAILED or not can_prove:
        return Move(AssignmentState.FAILED, ReportOutcome.FAILURE)
    return Move(wants_manifest=True)


def _after_failure(state: AssignmentState, claim: Claim) -> Move:
    if state == AssignmentState.INSTALLING:
        return Move(AssignmentState.FAILED, ReportOutcome.FAILURE)
    is_refusal = claim.outcome == ReportOutcome.REFUSED or claim.code in REFUSAL_CODES
    if state == AssignmentState.WITHDRAWING and (claim.code == WITHDRAWN or claim.code in _PASSING):
        return Move(AssignmentState.WITHDRAWN)
    if state in _BEFORE_INSTALL and is_refusal:
        return Move(AssignmentState.REFUSED, ReportOutcome.REFUSED)
    if state in STOPPABLE_STATES and claim.code in SHED_CODES:
        return Move(AssignmentState.WAITING, may_retry=True)
    if state in STOPPABLE_STATES and claim.code in PASSING_CODES:
        return Move(AssignmentState.WAITING, ReportOutcome.FAILURE, may_retry=True)
    if state in _BEFORE_INSTALL:
        return Move(AssignmentState.FAILED, ReportOutcome.FAILURE)
    if state in _GIVEN_UP and not is_refusal and claim.code not in _PASSING:
        return Move(AssignmentState.FAILED, ReportOutcome.FAILURE)
    return _STAY


def after_evidence(state: AssignmentState, *, runs_release: bool, is_latest: bool, code: str) -> Move:
    """Return what a verified manifest does to an assignment, whatever reports said.

    `is_latest`: no other order has gone to the vehicle since; `code` is why the assignment failed, if it did.
    """
    if not runs_release:
        if state != AssignmentState.SOAKING:
            return _STAY
        if is_latest:
            return Move(AssignmentState.FAILED, ReportOutcome.FAILURE)
        return Move(AssignmentState.SUPERSEDED)
    if not is_latest or (state == AssignmentState.FAILED and code == HEALTH_FAILED):
        return _STAY
    return Move(AssignmentState.SOAKING, ReportOutcome.SUCCESS) if state in _PROVED else _STAY
