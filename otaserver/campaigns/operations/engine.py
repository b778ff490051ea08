"""The engine: one tick of one campaign. Lapse, limits, gate, waves, offers; halting comes before advancing."""

import logging
from datetime import datetime, timedelta

from django.db import InterfaceError, InternalError, OperationalError, connection, transaction

from otaserver.campaigns.models import Campaign, Decision
from otaserver.campaigns.operations import (
    after_stops,
    assignments,
    decisions,
    endings,
    exclusions,
    gates,
    joining,
    looks,
    missed_windows,
    offers,
    precedence,
    renewals,
    rollbacks,
    starts,
    stops,
    unjudged,
    waves,
)
from otaserver.campaigns.operations.decisions import ENGINE, draft
from otaserver.campaigns.states import CampaignKind, CampaignState
from otaserver.errors import OtaError
from otaserver.statemachine import StaleStateError

logger = logging.getLogger(__name__)

# What goes away by itself: the database, a disk or a connection is away, or somebody else was first.
_PASSING = (OperationalError, InterfaceError, InternalError, OSError, StaleStateError)
_TICKED = [
    CampaignState.SCHEDULED,
    CampaignState.RUNNING,
    CampaignState.PAUSED,
    CampaignState.HALTED,
    CampaignState.CANCELLED,
]


def advance_campaign(campaign_id: int, *, at: datetime) -> bool:
    """Take one campaign as far as it goes now, and return whether more is due at once.

    One transaction under the campaign's lock: of two workers one passes by, and one that is killed leaves nothing half
    done. Repeating it changes nothing. A campaign that cannot be judged is halted: no error keeps a halt from it.
    """
    try:
        return _advance(campaign_id, at=at)
    except _PASSING:
        # The next tick does it.
        raise
    except Exception as error:
        logger.exception("a tick of campaign %s", campaign_id)
        unjudged.halt(campaign_id, error, at=at)
        return False


@transaction.atomic
def _advance(campaign_id: int, *, at: datetime) -> bool:
    campaign = _locked(campaign_id)
    if campaign is None:
        return False
    if campaign.state == CampaignState.SCHEDULED:
        return _start(campaign, at=at)
    if campaign.state in (CampaignState.HALTED, CampaignState.CANCELLED):
        return after_stops.look_after(campaign, at=at)
    _read_by_index(only=True)
    assignments.lapse(campaign.assignments.all(), at=at)
    offers.take_back_outdated(campaign, at=at)
    missed_windows.take_back_missed(campaign, at=at)
    halt = _stopped_tenant(campaign, at=at) or gates.reason_to_halt(campaign, at=at)
    drafts = exclusions.withdraw_listed(campaign, at=at)
    if halt is None:
        read, halt = gates.read_outcomes(campaign, at=at)
        drafts += read
    has_more = False
    if halt is not None:
        drafts += stops.halt_in_wave(campaign, halt, at=at)
    elif endings.is_over(campaign, at=at):
        drafts += endings.end(campaign, at=at)
    elif campaign.state == CampaignState.RUNNING:
        offers.rejoin(campaign)
        is_looking = looks.begin(campaign, at=at)
        if is_looking:
            precedence.give_back(campaign)
            drafts += _take_in(campaign, at=at) + precedence.settle_overtaken(campaign, at=at)
        drafts += waves.advance_waves(campaign, is_looking=is_looking, at=at)
        if campaign.kind == CampaignKind.ROLLBACK:
            drafts += rollbacks.clear_the_way(campaign, at=at)
        if campaign.state == CampaignState.RUNNING:
            offered = offers.offer(campaign, at=at)
            has_more = offered.has_more
            drafts += offered.decisions
            # Afterwards: whoever was freed before has taken its room and pace by now.
            drafts += precedence.clear_the_way(campaign, at=at)
        precedence.end_soaks(campaign, at=at)
    if campaign.state in (CampaignState.RUNNING, CampaignState.PAUSED) and renewals.renew(campaign, at=at):
        has_more = True
    decisions.record(campaign, drafts)
    _note_tick(campaign, at=at)
    return has_more


def _read_by_index(*, only: bool) -> None:
    """Keep PostgreSQL, to the end of this transaction, from reading whole tables: what a tick asks has an index.

    Statistics lag behind a start that has just written a million rows. And to learn whether there is any of a kind it
    would read a table from its beginning where it takes the kind for common, though all of them lie at the far end.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Without the compiler: where a table has no index to offer, its plan looks dear enough to be compiled.
            setting = "SELECT set_config('enable_seqscan', %s, true), set_config('jit', 'off', true)"
            cursor.execute(setting, ["off" if only else "on"])


def _note_tick(campaign: Campaign, *, at: datetime) -> None:
    # To the minute, which spares a write of most ticks. A clock that was set back does not leave it in the future.
    if campaign.advanced_at is None or not timedelta() <= at - campaign.advanced_at < timedelta(minutes=1):
        Campaign.objects.filter(pk=campaign.pk).update(advanced_at=at)


def _locked(campaign_id: int) -> Campaign | None:
    rows = Campaign.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
    return rows.select_related("tenant", "release").filter(pk=campaign_id, state__in=_TICKED).first()


def _stopped_tenant(campaign: Campaign, *, at: datetime) -> Decision | None:
    # Started or resumed in the very moment in which the tenant was stopped.
    if campaign.tenant.stopped_at is None:
        return None
    return draft(campaign, "campaign.stopped", campaign.tenant.stopped_reason, by=ENGINE, at=at)


def _take_in(campaign: Campaign, *, at: datetime) -> list[Decision]:
    if campaign.kind != CampaignKind.ROLLBACK and not joining.is_open(campaign):
        return []
    # Here alone a tick goes by way of temporary tables, which have no index.
    _read_by_index(only=False)
    drafts = _take_in_late(campaign, at=at) + joining.admit(campaign, at=at)
    _read_by_index(only=True)
    return drafts


def _take_in_late(campaign: Campaign, *, at: datetime) -> list[Decision]:
    if campaign.kind != CampaignKind.ROLLBACK:
        return []
    rollbacks.readmit(campaign, at=at)
    joined = starts.take_in_late(campaign, at=at)
    if not joined:
        return []
    sentence = f"After the start {decisions.vehicles(joined)} more confirmed the release that is taken back."
    return [draft(campaign, "campaign.joined", sentence, by=ENGINE, at=at, vehicles=joined)]


def _start(campaign: Campaign, *, at: datetime) -> bool:
    """Start a scheduled campaign that is due; one that cannot start goes back to a person, with the reason."""
    if campaign.starts_at is None or campaign.starts_at > at:
        return False
    try:
        starts.start_campaign(campaign, by=ENGINE, at=at)
    except OtaError as error:
        # What it had changed in memory was rolled back in the database.
        campaign.refresh_from_db()
        campaign.move_to(CampaignState.APPROVED, reason=error.message)
        decisions.record(campaign, [draft(campaign, "campaign.not_started", error.message, by=ENGINE, at=at)])
        return False
    return True
