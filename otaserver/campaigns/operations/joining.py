"""Dynamic campaigns: vehicles that come to match after the start are taken into the last wave."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from otaserver.campaigns.errors import CampaignNotDynamicError
from otaserver.campaigns.models import Assignment, Campaign, Decision, GateState
from otaserver.campaigns.operations import checks, decisions, signals, staging, starts
from otaserver.campaigns.operations.decisions import ENGINE
from otaserver.campaigns.queries import block_lists, bundles, gates
from otaserver.campaigns.states import AssignmentState, CampaignState, Verdict
from otaserver.fleet.models import Vehicle

ADMIT_CHUNK = 5000


@transaction.atomic
def close_campaign(campaign: Campaign, *, by: str, at: datetime, reason: str) -> None:
    """Take no further vehicles into a dynamic campaign: it ends once those that it has are settled.

    Raises:
        ReasonMissingError: no reason is given.
        CampaignNotDynamicError: it takes in nobody after its start, or is closed already.
        InvalidTransitionError: it is not under way.
    """
    reason = decisions.require_reason(reason)
    checks.require_state(campaign, CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.HALTED)
    open_ones = Campaign.objects.filter(pk=campaign.pk, is_dynamic=True, closed_at=None)
    if not open_ones.update(closed_at=at):
        raise CampaignNotDynamicError(f"Campaign {campaign} takes in no vehicles that could be kept out.")
    campaign.closed_at = at
    decisions.record(campaign, [decisions.draft(campaign, "campaign.closed", reason, by=by, at=at)])


def is_open(campaign: Campaign) -> bool:
    """Return whether vehicles that come to match are taken in."""
    return campaign.is_dynamic and campaign.closed_at is None


def admit(campaign: Campaign, *, at: datetime) -> list[Decision]:
    """Take in vehicles that match by now and did not before, up to a chunk of them; return what was decided.

    New ones are written into the list with their verdict; those it excluded are judged anew once what excluded them has
    changed. Who had a turn, or is held out, stays as it is. They join the last wave, whether it has opened or not.
    """
    if not is_open(campaign):
        return []
    chosen = _candidates(campaign, at=at).order_by("pk").values_list("pk", flat=True)[:ADMIT_CHUNK]
    found = list(chosen)
    if not found:
        return []
    release = bundles.release_view(campaign.release)
    with staging.staged(campaign, release, Vehicle.objects.filter(pk__in=found), at=at, is_late=True):
        staging.forget_excluded(campaign, only_fitting=False)
        staging.write_list(campaign, wave=starts.last_wave_if_open(campaign))
        by_stratum = staging.waiting(campaign)
        signals.ask_held_out(campaign, among=found)
    joined = sum(by_stratum.values())
    if not joined:
        return []
    _plan_gate(campaign, by_stratum)
    sentence = (
        f"{decisions.vehicles(joined)[:1].upper()}{decisions.vehicles(joined)[1:]} came to match after the start."
    )
    return [decisions.draft(campaign, "campaign.joined", sentence, by=ENGINE, at=at, vehicles=joined)]


def _plan_gate(campaign: Campaign, joined: Mapping[str, int]) -> None:
    # The guard's limit holds for as many outcomes as it may come to read.
    states = {state.stratum: state for state in campaign.gate_states.all()}
    for stratum, count in [("", sum(joined.values())), *joined.items()]:
        if stratum in states:
            campaign.gate_states.filter(stratum=stratum).update(planned_results=F("planned_results") + count)
    campaign.signal_states.update(planned_results=F("planned_results") + sum(joined.values()))
    if not gates.tests_late_strata(campaign):
        return
    place = max(state.late_place for state in states.values())
    GateState.objects.bulk_create(
        GateState(
            campaign=campaign,
            stratum=stratum,
            planned_results=joined[stratum],
            outcome_share=states[""].outcome_share,
            late_place=late_place,
        )
        for late_place, stratum in enumerate(sorted(set(joined) - set(states)), start=place + 1)
    )


def _candidates(campaign: Campaign, *, at: datetime) -> QuerySet[Vehicle]:
    own = Assignment.objects.filter(campaign=campaign, vehicle=OuterRef("pk"))
    excluded = own.filter(state=AssignmentState.EXCLUDED)
    runs_another = excluded.filter(configuration__isnull=False).exclude(verdict=Verdict.CONTROL)
    is_changed = Exists(runs_another.exclude(configuration=OuterRef("configuration"))) | Exists(
        excluded.filter(verdict=Verdict.NOT_ENROLLED, vehicle__enrolled_at__isnull=False)
        | excluded.filter(verdict=Verdict.BLOCKED, vehicle__blocked_at=None)
        | excluded.filter(_confirmed_again(campaign, at), verdict=Verdict.STALE_INVENTORY)
    )
    listed = Q(pk__in=[])
    for group in block_lists.block_lists(campaign.tenant):
        listed |= block_lists.in_group(group)
    is_off_lists = ~listed & Exists(excluded.filter(verdict=Verdict.ON_BLOCK_LIST))
    return starts.targets(campaign).filter(~Exists(own) | is_changed | is_off_lists)


def _confirmed_again(campaign: Campaign, at: datetime) -> Q:
    age = timedelta(seconds=campaign.max_inventory_age_seconds or 0)
    return Q(vehicle__confirmed_at__gte=at - age)
