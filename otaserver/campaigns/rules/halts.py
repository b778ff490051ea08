"""The graded halt: what the engine does when evidence or a limit halts a campaign, step by step.

1. Nothing more is offered: the campaign is halted. 2. What is not being installed is withdrawn. 3. That holds what was
downloaded: without an order in fresh metadata no client with an online permit installs it; one with hours of grace may
until they are over. 4. What runs the release is brought back. 5. Somebody is told.
"""

from otaserver.campaigns.states import HaltAction

OFFERS_STOPPED = "offers_stopped"
WITHDRAWN = "withdrawn"
HELD = "held"
ROLLED_BACK = "rolled_back"
NOTIFIED = "notified"


def grades(action: str, *, grace_hours: int | None) -> list[str]:
    """Return the grades that a halt takes, in their order."""
    if action == HaltAction.HOLD_OFFERS:
        return [OFFERS_STOPPED, NOTIFIED]
    steps = [OFFERS_STOPPED, WITHDRAWN] + ([HELD] if grace_hours is None else [])
    return [*steps, *([ROLLED_BACK] if action == HaltAction.ROLL_BACK else []), NOTIFIED]


def halt_problem(action: str, *, has_fallback: bool) -> str | None:
    """Return why a plan cannot ask for this on a halt, or None."""
    if action not in HaltAction.values:
        return f"A halt's action is one of {', '.join(HaltAction.values)}; {action!r} is not."
    if action == HaltAction.ROLL_BACK and not has_fallback:
        return "A halt that rolls back needs a fallback release, and the plan names none."
    return None
