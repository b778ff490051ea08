"""The four machines of DESIGN.md as data."""

from collections.abc import Mapping

from django.db.models import IntegerChoices, TextChoices


class CampaignKind(TextChoices):
    ROLLOUT = "rollout"
    ROLLBACK = "rollback"
    DIRECT = "direct"  # a release to one vehicle on a test bench, without gate, waves and approval


class CampaignPriority(IntegerChoices):
    """Which campaign goes first where several want the same vehicle: the lower number."""

    SAFETY_RECALL = 0
    SECURITY = 1
    QUALITY = 2
    FEATURE = 3


class HaltAction(TextChoices):
    """What the engine's own halt does beyond offering nothing more; a person's stop always withdraws."""

    WITHDRAW = "withdraw"  # take back every order that is not being installed
    HOLD_OFFERS = "hold_offers"  # let orders that stand go on
    ROLL_BACK = "roll_back"  # withdraw, and bring back what runs the release already


class CampaignState(TextChoices):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"  # by an operator
    HALTED = "halted"  # by a gate, a limit or the emergency stop; only a person resumes it
    COMPLETED = "completed"
    CANCELLED = "cancelled"


CAMPAIGN_TRANSITIONS: Mapping[str, frozenset[str]] = {
    CampaignState.DRAFT: frozenset({CampaignState.IN_REVIEW, CampaignState.CANCELLED}),
    CampaignState.IN_REVIEW: frozenset({CampaignState.APPROVED, CampaignState.DRAFT, CampaignState.CANCELLED}),
    CampaignState.APPROVED: frozenset(
        {CampaignState.SCHEDULED, CampaignState.RUNNING, CampaignState.DRAFT, CampaignState.CANCELLED}
    ),
    CampaignState.SCHEDULED: frozenset({CampaignState.RUNNING, CampaignState.APPROVED, CampaignState.CANCELLED}),
    CampaignState.RUNNING: frozenset(
        {CampaignState.PAUSED, CampaignState.HALTED, CampaignState.COMPLETED, CampaignState.CANCELLED}
    ),
    # Completed: its end came while it was paused.
    CampaignState.PAUSED: frozenset(
        {CampaignState.RUNNING, CampaignState.HALTED, CampaignState.CANCELLED, CampaignState.COMPLETED}
    ),
    CampaignState.HALTED: frozenset({CampaignState.RUNNING, CampaignState.CANCELLED}),
    CampaignState.COMPLETED: frozenset(),
    CampaignState.CANCELLED: frozenset(),
}


class WaveState(TextChoices):
    WAITING = "waiting"
    OPEN = "open"  # offering to its vehicles
    MATURING = "maturing"  # every vehicle is settled or soaking; results are not all mature
    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"  # a person decides


WAVE_TRANSITIONS: Mapping[str, frozenset[str]] = {
    WaveState.WAITING: frozenset({WaveState.OPEN}),
    WaveState.OPEN: frozenset({WaveState.MATURING, WaveState.PASSED, WaveState.FAILED, WaveState.UNDECIDED}),
    # Back to open: a neutral outcome's place was refilled.
    WaveState.MATURING: frozenset({WaveState.OPEN, WaveState.PASSED, WaveState.FAILED, WaveState.UNDECIDED}),
    WaveState.UNDECIDED: frozenset({WaveState.PASSED, WaveState.FAILED}),
    # A person with a reason resumes a halted campaign in the wave that failed.
    WaveState.FAILED: frozenset({WaveState.OPEN}),
    WaveState.PASSED: frozenset(),
}


class WaveRule(TextChoices):
    """What happens when all vehicles of a wave are settled before the test has decided."""

    PROCEED = "proceed"  # if failures stay within the wave's limit and the next wave within the failure budget
    ASK = "ask"


class AssignmentState(TextChoices):
    EXCLUDED = "excluded"  # never part of it; the verdict says why
    WAITING = "waiting"
    OFFERED = "offered"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    HELD = "held"  # by a window, a precondition or consent
    INSTALLING = "installing"
    SOAKING = "soaking"  # the new software is confirmed to run; it must stay healthy through the soak
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    LAPSED = "lapsed"
    WITHDRAWING = "withdrawing"  # a vehicle may still finish; what it reports counts
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


# What a vehicle may report at any moment of an open order, in whatever order reports arrive.
_PROGRESS = frozenset(
    {
        AssignmentState.DOWNLOADING,
        AssignmentState.DOWNLOADED,
        AssignmentState.HELD,
        AssignmentState.INSTALLING,
    }
)
_ENDS = frozenset({AssignmentState.FAILED, AssignmentState.REFUSED, AssignmentState.LAPSED, AssignmentState.SUPERSEDED})
# Only through `withdrawing`: a vehicle may have begun to install before it hears of it.
_BEFORE_INSTALL = _PROGRESS | _ENDS | {AssignmentState.WITHDRAWING, AssignmentState.SOAKING, AssignmentState.WAITING}
# The server had given up on the order, but the vehicle carried it out: what it did counts.
_LATE = frozenset({AssignmentState.INSTALLING, AssignmentState.SOAKING, AssignmentState.FAILED})

ASSIGNMENT_TRANSITIONS: Mapping[str, frozenset[str]] = {
    AssignmentState.EXCLUDED: frozenset(),
    # Lapsed: the campaign's end came first.
    AssignmentState.WAITING: _LATE
    | {AssignmentState.OFFERED, AssignmentState.WITHDRAWN, AssignmentState.SUPERSEDED, AssignmentState.LAPSED},
    # Back to waiting: an attempt ended for now, and the next one has its turn later.
    AssignmentState.OFFERED: _BEFORE_INSTALL,
    AssignmentState.DOWNLOADING: _BEFORE_INSTALL - {AssignmentState.DOWNLOADING},
    AssignmentState.DOWNLOADED: _BEFORE_INSTALL - {AssignmentState.DOWNLOADED},
    AssignmentState.HELD: _BEFORE_INSTALL - {AssignmentState.HELD},
    # `installing` is never interrupted: it ends by evidence, by a report, or in silence, which is a failure. Held: the
    # vehicle says itself that its window shut before it had switched to the new software. Back to waiting: a stepping
    # stone was proved to run, and the next hop has its turn.
    AssignmentState.INSTALLING: frozenset(
        {AssignmentState.SOAKING, AssignmentState.FAILED, AssignmentState.HELD, AssignmentState.WAITING}
    ),
    AssignmentState.SOAKING: frozenset({AssignmentState.SUCCEEDED, AssignmentState.FAILED, AssignmentState.SUPERSEDED}),
    AssignmentState.WITHDRAWING: _LATE | {AssignmentState.WITHDRAWN, AssignmentState.REFUSED},
    # A person resumes a stopped campaign: what was withdrawn waits again.
    AssignmentState.WITHDRAWN: _LATE | {AssignmentState.WAITING},
    # Back to waiting: a roll-back does not give up a vehicle that runs what it takes back.
    AssignmentState.LAPSED: _LATE | {AssignmentState.WAITING},
    # Evidence outranks reports and silence: the vehicle has proved that it runs the new software.
    AssignmentState.FAILED: frozenset({AssignmentState.SOAKING}),
    AssignmentState.REFUSED: frozenset({AssignmentState.SOAKING, AssignmentState.WAITING}),
    # Back to waiting: other software arrived from elsewhere, and the policy is to bring ours back.
    AssignmentState.SUCCEEDED: frozenset({AssignmentState.WAITING}),
    AssignmentState.SUPERSEDED: frozenset({AssignmentState.WAITING}),
}

# An order stands at the vehicle: one at a time per vehicle.
ACTIVE_STATES = frozenset(
    {
        AssignmentState.OFFERED,
        AssignmentState.DOWNLOADING,
        AssignmentState.DOWNLOADED,
        AssignmentState.HELD,
        AssignmentState.INSTALLING,
        AssignmentState.WITHDRAWING,
    }
)
# Offered, and the outcome is not known yet.
IN_FLIGHT_STATES = ACTIVE_STATES | {AssignmentState.SOAKING}
# Withdrawn by a stop; never `installing`.
STOPPABLE_STATES = frozenset(
    {AssignmentState.OFFERED, AssignmentState.DOWNLOADING, AssignmentState.DOWNLOADED, AssignmentState.HELD}
)
SETTLED_STATES = frozenset(
    {
        AssignmentState.SUCCEEDED,
        AssignmentState.FAILED,
        AssignmentState.REFUSED,
        AssignmentState.LAPSED,
        AssignmentState.WITHDRAWN,
        AssignmentState.SUPERSEDED,
    }
)
# Ends that count neither way; the place in the wave is refilled.
NEUTRAL_STATES = frozenset(
    {
        AssignmentState.REFUSED,
        AssignmentState.LAPSED,
        AssignmentState.WITHDRAWN,
        AssignmentState.SUPERSEDED,
    }
)


class Verdict(TextChoices):
    """Whether a vehicle can take part, decided when the campaign starts and kept."""

    FITS = "fits"
    ALREADY_THERE = "already_there"
    WRONG_HARDWARE = "wrong_hardware"
    UNMET_DEPENDENCY = "unmet_dependency"
    CONFLICT = "conflict"
    ROLLBACK_BARRED = "rollback_barred"  # a release counter on the vehicle is higher
    NOT_ENROLLED = "not_enrolled"
    BLOCKED = "blocked"
    ON_BLOCK_LIST = "on_block_list"
    STALE_INVENTORY = "stale_inventory"  # what it runs was not confirmed for too long
    NOT_DELIVERABLE = "not_deliverable"  # its protocol cannot do what the release asks
    CONTROL = "control"  # it fits and is held out, to compare the others with


class Consent(TextChoices):
    """Whether owners are asked before a release is installed."""

    NONE = "none"
    ASK = "ask"
    ASK_WITH_DEADLINE = "ask_with_deadline"  # it goes ahead in the end, and the last question says so


class ConsentDecision(TextChoices):
    YES = "yes"
    NO = "no"
    POSTPONE = "postpone"
    DEADLINE = "deadline"  # asked for the last time and told so, the owner did not agree: it goes ahead


class ReportPhase(TextChoices):
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    HELD = "held"
    INSTALLING = "installing"
    INSTALLED = "installed"  # switched to the new software; says nothing yet of whether it runs well
    FINISHED = "finished"  # with an outcome


class ReportOutcome(TextChoices):
    NONE = "none"
    SUCCESS = "success"
    FAILURE = "failure"
    REFUSED = "refused"


class GateVerdict(TextChoices):
    UNDECIDED = "undecided"
    PASS = "pass"
    HALT = "halt"


class ChangeCause(TextChoices):
    """How the software that an ECU proves came there."""

    FIRST = "first"  # what it ran when it was first heard of
    ORDER = "order"
    REVERTED = "reverted"  # back from what was ordered to what ran before
    FOREIGN = "foreign"  # no order of ours put it there


class FailureCategory(TextChoices):
    NETWORK = "network"
    STORAGE = "storage"
    VEHICLE_STATE = "vehicle_state"
    OWNER = "owner"
    SOFTWARE = "software"
    SECURITY = "security"
    SERVER = "server"


class FailureOrigin(TextChoices):
    """Who says it, and of what."""

    VEHICLE = "vehicle"  # how a vehicle ends or holds an attempt
    VERIFICATION = "verification"  # why its verification refused; in its manifests and logs
    SERVER = "server"  # what the server decides of an attempt or an assignment
    REQUEST = "request"  # why one request came to nothing; no attempt ends by it


class Counts(TextChoices):
    FAILURE = "failure"
    NEUTRAL = "neutral"
