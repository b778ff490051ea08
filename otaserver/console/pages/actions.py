"""What can be done to a campaign, to whom the button is shown, and what it will come to, before it is done."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.utils.translation import gettext_lazy as _

from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import CampaignKind, CampaignState
from otaserver.tenants.states import Permission

_OVER = frozenset({CampaignState.COMPLETED, CampaignState.CANCELLED})
_LIVE = frozenset(CampaignState) - _OVER


class Reason(Enum):
    """Whether an action asks why."""

    NONE = "none"
    OPTIONAL = "optional"
    NEEDED = "needed"


@dataclass(frozen=True)
class Action:
    """One thing to do: who may, in which states, whether it needs a reason, and the operation."""

    name: str
    label: Any
    question: Any
    permission: Permission
    states: Collection[str]
    operation: Callable[..., Any]
    reason: Reason = Reason.NONE
    # How it is drawn: what starts or lets go, what holds back, what ends.
    tone: str = "plain"

    @property
    def holds_back(self) -> bool:
        """Whether it is a brake: done whatever the numbers are by now, which move for as long as vehicles do."""
        return self.tone == "stop" or self.name == "pause"

    @property
    def needs_reason(self) -> bool:
        return self.reason is Reason.NEEDED

    @property
    def takes_reason(self) -> bool:
        return self.reason is not Reason.NONE


@dataclass(frozen=True)
class Effect:
    """One consequence: how many, of what."""

    count: int
    of_what: str


def _manage(name: str, label: Any, question: Any, states: Collection[str], operation: Any, **more: Any) -> Action:
    return Action(name, label, question, Permission.MANAGE_CAMPAIGNS, states, operation, **more)


_ACTIONS = (
    _manage(
        "submit",
        _("Send for approval"),
        _("Send this draft for approval?"),
        {CampaignState.DRAFT},
        operations.submit_campaign,
        tone="go",
    ),
    Action(
        "approve",
        _("Approve"),
        _("Approve this campaign?"),
        Permission.APPROVE,
        {CampaignState.IN_REVIEW},
        operations.approve_campaign,
        tone="go",
    ),
    Action(
        "reject",
        _("Reject"),
        _("Send this campaign back to its draft?"),
        Permission.APPROVE,
        {CampaignState.IN_REVIEW, CampaignState.APPROVED},
        operations.reject_campaign,
        Reason.NEEDED,
    ),
    _manage(
        "start",
        _("Start"),
        _("Start this campaign now?"),
        {CampaignState.APPROVED, CampaignState.SCHEDULED},
        operations.start_campaign,
        tone="go",
    ),
    _manage(
        "schedule",
        _("Schedule"),
        _("When is this campaign to start?"),
        {CampaignState.APPROVED},
        operations.schedule_campaign,
    ),
    _manage(
        "pause",
        _("Pause"),
        _("Pause this campaign?"),
        {CampaignState.RUNNING},
        operations.pause_campaign,
        reason=Reason.OPTIONAL,
    ),
    _manage(
        "resume",
        _("Resume"),
        _("Let this campaign go on?"),
        {CampaignState.PAUSED, CampaignState.HALTED},
        operations.resume_campaign,
        reason=Reason.OPTIONAL,
        tone="go",
    ),
    _manage(
        "retry",
        _("Retry now"),
        _("Let vehicles that wait for another attempt try now?"),
        {CampaignState.RUNNING},
        operations.retry_waiting,
        reason=Reason.OPTIONAL,
    ),
    _manage(
        "close",
        _("Close to newcomers"),
        _("Take no more vehicles into this campaign?"),
        {CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED},
        operations.close_campaign,
        reason=Reason.NEEDED,
    ),
    _manage(
        "rollback",
        _("Roll back"),
        _("Draft a roll-back of this campaign?"),
        {CampaignState.HALTED, CampaignState.COMPLETED, CampaignState.CANCELLED},
        operations.create_rollback,
    ),
    _manage(
        "cancel",
        _("Cancel"),
        _("End this campaign for good?"),
        _LIVE,
        operations.cancel_campaign,
        reason=Reason.OPTIONAL,
        tone="end",
    ),
    Action(
        "stop",
        _("Stop this campaign"),
        _("Stop this campaign at once?"),
        Permission.STOP,
        {CampaignState.SCHEDULED, CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED},
        operations.stop_campaign,
        Reason.NEEDED,
        tone="stop",
    ),
)


BY_NAME: Mapping[str, Action] = {action.name: action for action in _ACTIONS}


def possible(campaign: Campaign, permissions: Collection[Permission]) -> Sequence[Action]:
    """Return the actions that the campaign's state allows to somebody with these permissions, in their order."""
    return [
        action for action in _ACTIONS if is_possible(action, campaign) and is_allowed(action, campaign, permissions)
    ]


def is_possible(action: Action, campaign: Campaign) -> bool:
    """Return whether the campaign stands where the action makes sense."""
    if campaign.state not in action.states:
        return False
    if action.name == "stop" and campaign.state == CampaignState.HALTED:
        # What stood at vehicles goes on, as the plan says.
        return campaign.keeps_orders
    if action.name == "rollback":
        return campaign.kind != CampaignKind.ROLLBACK
    if action.name == "close":
        return campaign.is_dynamic and campaign.closed_at is None
    return True


def is_allowed(action: Action, campaign: Campaign, permissions: Collection[Permission]) -> bool:
    """Return whether these suffice. Whoever manages campaigns approves a roll-back that needs nobody else."""
    if action.permission in permissions:
        return True
    needs_nobody_else = action.name == "approve" and campaign.kind == CampaignKind.ROLLBACK
    if not needs_nobody_else or Permission.MANAGE_CAMPAIGNS not in permissions:
        return False
    return queries.required_approvals(campaign) == 0


def needs_reason(action: Action, campaign: Campaign) -> bool:
    """Return whether this needs a reason here: whoever resumes after a halt answers for the failures so far."""
    return action.needs_reason or (action.name == "resume" and campaign.state == CampaignState.HALTED)
