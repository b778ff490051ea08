"""What an action will come to, in numbers, counted at the moment in which somebody is asked to confirm it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from otaserver.campaigns import operations, queries
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import STOPPABLE_STATES, AssignmentState, CampaignState
from otaserver.console import refusals
from otaserver.console.pages.actions import Effect
from otaserver.errors import OtaError
from otaserver.tenants.models import Tenant

_INSTALLING = (AssignmentState.INSTALLING, AssignmentState.WITHDRAWING)


def effects(name: str, campaign: Campaign, *, at: datetime) -> Sequence[Effect]:
    """Return what the action of that name would come to now.

    Raises:
        OtaError: it would be refused now; the sentence says why.
    """
    counted = _EFFECTS.get(name)
    return counted(campaign, at) if counted is not None else []


def stop_effects(tenant: Tenant) -> Sequence[Effect]:
    """Return what the emergency stop of everything that a tenant runs would come to now."""
    under_way = Campaign.objects.filter(tenant=tenant, state__in=[CampaignState.RUNNING, CampaignState.PAUSED])
    scheduled = Campaign.objects.filter(tenant=tenant, state=CampaignState.SCHEDULED).count()
    by_state = [queries.progress(campaign).by_state for campaign in under_way]
    # Halted, and what stood at vehicles goes on.
    kept = [queries.progress(each).by_state for each in Campaign.objects.filter(tenant=tenant, keeps_orders=True)]
    return [
        Effect(len(by_state), _("campaigns are halted; each goes on only by a person's word")),
        Effect(scheduled, _("scheduled campaigns are only approved again")),
        Effect(sum(_sum(each, STOPPABLE_STATES) for each in [*by_state, *kept]), _("orders are withdrawn")),
        Effect(
            sum(_sum(each, _INSTALLING) for each in by_state), _("vehicles are installing; they are not interrupted")
        ),
    ]


def _sum(by_state: Mapping[str, int], states: Sequence[str] | frozenset[AssignmentState]) -> int:
    return sum(by_state.get(state, 0) for state in states)


def _of_start(campaign: Campaign, at: datetime) -> Sequence[Effect]:
    fitting = operations.count_fitting(campaign, at=at)
    first = campaign.waves.order_by("number").first()
    return [
        Effect(fitting, _("vehicles take part, as of now")),
        Effect(campaign.waves.count(), _("waves")),
        Effect(first.max_failed if first is not None else 0, _("vehicles of the first wave may fail unasked")),
    ]


def _of_approval(campaign: Campaign, at: datetime) -> Sequence[Effect]:
    view = queries.approval_view(campaign)
    return [Effect(max(view.missing - 1, 0), _("more people must approve it after you")), *_of_start(campaign, at)]


def _of_pause(campaign: Campaign, at: datetime) -> Sequence[Effect]:
    found = queries.progress(campaign)
    waiting = found.by_state.get(AssignmentState.WAITING, 0)
    return [
        Effect(waiting, _("vehicles are offered nothing until it goes on")),
        Effect(found.in_flight, _("vehicles in flight go on, and may still halt it")),
    ]


def _of_resume(campaign: Campaign, at: datetime) -> Sequence[Effect]:
    by_state = queries.progress(campaign).by_state
    found = [
        Effect(by_state.get(AssignmentState.WAITING, 0), _("waiting vehicles are offered the release in their turn")),
    ]
    if campaign.state == CampaignState.HALTED:
        found += [
            Effect(by_state.get(AssignmentState.WITHDRAWN, 0), _("withdrawn vehicles wait again")),
            Effect(by_state.get(AssignmentState.FAILED, 0), _("failures so far, for which you answer")),
        ]
    return found


def _of_stop(campaign: Campaign, at: datetime) -> Sequence[Effect]:
    by_state = queries.progress(campaign).by_state
    return [
        Effect(_sum(by_state, STOPPABLE_STATES), _("orders are withdrawn")),
        Effect(_sum(by_state, _INSTALLING), _("vehicles are installing; they are not interrupted")),
        Effect(by_state.get(AssignmentState.SOAKING, 0), _("vehicles run the new software and go on being watched")),
        Effect(by_state.get(AssignmentState.WAITING, 0), _("vehicles are not offered it any more")),
    ]


def _of_retry(campaign: Campaign, at: datetime) -> Sequence[Effect]:
    waiting = queries.waiting_for_next_attempt(campaign, at=at).count()
    return [Effect(waiting, _("vehicles that wait for another attempt have it at once"))]


def _of_close(campaign: Campaign, at: datetime) -> Sequence[Effect]:
    found = queries.progress(campaign)
    return [Effect(found.total, _("vehicles take part, and no more will")), Effect(found.settled, _("are settled"))]


def _of_rollback(campaign: Campaign, at: datetime) -> Sequence[Effect]:
    release = campaign.fallback_release
    if release is None:
        return []
    planned = Campaign(tenant=campaign.tenant, rolls_back=campaign, release=release)
    return [
        Effect(queries.carriers(planned).count(), _("vehicles run what would be taken back")),
        Effect(queries.progress(campaign).in_flight, _("vehicles in flight would be taken back once they end")),
    ]


_Counted = Callable[[Campaign, datetime], Sequence[Effect]]
_EFFECTS: Mapping[str, _Counted] = {
    "submit": _of_start,
    "approve": _of_approval,
    "start": _of_start,
    "schedule": _of_start,
    "pause": _of_pause,
    "resume": _of_resume,
    "stop": _of_stop,
    "cancel": _of_stop,
    "retry": _of_retry,
    "close": _of_close,
    "rollback": _of_rollback,
}


def counted(name: str, campaign: Campaign, *, at: datetime) -> tuple[Sequence[Effect], str]:
    """Return the effects, or none and the sentence that says why the action would be refused now."""
    try:
        return effects(name, campaign, at=at), ""
    except OtaError as error:
        return [], refusals.of(error)


def numbers(found: Sequence[Effect], refusal: str) -> str:
    """Return what the page that shows these sends back: the numbers that somebody has read, or that there were none."""
    return "refused" if refusal else ".".join(["read", *(str(effect.count) for effect in found)])
