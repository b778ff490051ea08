"""What still stands at vehicles of a campaign that has stopped: nothing, or what its halt lets go on."""

from datetime import datetime

from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.operations import assignments, decisions, exclusions, gates, missed_windows, offers, stops
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.operations.renewals import renew
from otaserver.campaigns.states import STOPPABLE_STATES


def look_after(campaign: Campaign, *, at: datetime) -> bool:
    """Withdraw what does not stand by right, and keep the rest to windows, blackouts and block lists.

    Return whether more is due at once. Where a halt lets orders go on, a graver reason than its own ends that.
    """
    if not campaign.assignments.filter(state__in=STOPPABLE_STATES).exists():
        return False
    assignments.lapse(campaign.assignments.all(), at=at)
    reason = _reason_to_withdraw(campaign, at=at)
    if reason is not None:
        reason.inputs["withdrawn"] = stops.withdraw_kept(campaign, at=at)
        decisions.record(campaign, [reason])
        return False
    offers.take_back_outdated(campaign, at=at)
    missed_windows.take_back_missed(campaign, at=at)
    decisions.record(campaign, exclusions.withdraw_listed(campaign, at=at))
    return renew(campaign, at=at)


def _reason_to_withdraw(campaign: Campaign, *, at: datetime) -> Decision | None:
    if campaign.keeps_orders and campaign.tenant.stopped_at is None:
        return gates.reason_to_halt(campaign, only_grave=True, at=at)
    # It came back to life as the campaign stopped: a vehicle had begun, and switched nothing.
    sentence = "Orders that stood at vehicles although the campaign has stopped were withdrawn."
    return draft(campaign, "campaign.reconciled", sentence, by=ENGINE, at=at, found="order_left")
