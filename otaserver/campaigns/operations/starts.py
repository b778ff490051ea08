"""Starting: the list of vehicles is frozen, with verdict, rank, stratum and what each ran."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from otaserver.campaigns.errors import CampaignGrownError, FirstCampaignRunsError, NoVehicleFitsError, PlanRefusedError
from otaserver.campaigns.models import Campaign, GateState, Wave
from otaserver.campaigns.operations import checks, decisions, kinds, rollbacks, signals, staging, stops
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import ranking
from otaserver.campaigns.rules import waves as rules
from otaserver.campaigns.rules.approvals import growth_problem
from otaserver.campaigns.states import CampaignState, Verdict, WaveState
from otaserver.fleet import queries as fleet
from otaserver.fleet.models import Vehicle


@transaction.atomic
def start_campaign(campaign: Campaign, *, by: str, at: datetime) -> None:
    """Start an approved or scheduled campaign: freeze its list of vehicles. The next tick opens the first wave.

    Raises:
        TenantStoppedError: everything of the tenant is stopped.
        ReleaseNotPublishedError, NoWayBackError: a package of the release, or of the one to return to, was withdrawn.
        MetadataEndsError: it would outlive metadata that vehicles need.
        NoVehicleFitsError: none can take part.
        CampaignGrownError: many more can than when it was approved.
        PlanRefusedError: a wave is for a group of which none can.
        FirstCampaignRunsError: what this rolls back has been resumed since.
        InvalidTransitionError: the campaign is not approved.
    """
    checks.require_state(campaign, CampaignState.APPROVED, CampaignState.SCHEDULED)
    stops.refuse_stopped(campaign.tenant)
    _refuse_beside_first(campaign)
    campaign.move_to(CampaignState.RUNNING, started_at=at, reason="")
    release = checks.require_published(campaign.release)
    checks.require_way_back(campaign, release)
    checks.require_lasting_metadata(campaign, release, starts_at=at)
    with staging.staged(campaign, release, targets(campaign), at=at):
        staging.write_list(campaign)
    frozen = staging.frozen(campaign)
    if not frozen.fitting and not rollbacks.may_come_late(campaign):
        raise NoVehicleFitsError(f"No vehicle fits {release.label}.", verdicts=dict(frozen.verdicts))
    _refuse_grown(campaign, frozen)
    _plan_waves(campaign, frozen)
    _plan_gate(campaign, frozen.strata)
    signals.plan_signals(campaign, fitting=frozen.fitting, held_out=frozen.verdicts.get(Verdict.CONTROL, 0))
    decided = decisions.draft(
        campaign, "campaign.started", _sentence(frozen), by=by, at=at, verdicts=dict(frozen.verdicts)
    )
    decisions.record(campaign, [decided])


def _sentence(frozen: staging.Frozen) -> str:
    others = {verdict: count for verdict, count in sorted(frozen.verdicts.items()) if verdict != Verdict.FITS}
    started = f"Started with {decisions.vehicles(frozen.fitting)}"
    if not others:
        return f"{started}."
    listed = ", ".join(f"{count} {verdict}" for verdict, count in others.items())
    return f"{started}, without {sum(others.values())} that do not take part: {listed}."


def _refuse_beside_first(campaign: Campaign) -> None:
    # It had stopped when the roll-back was drafted, and may have been resumed in that very moment.
    under_way = [CampaignState.RUNNING, CampaignState.PAUSED]
    first = campaign.rolls_back
    if first is not None and Campaign.objects.filter(pk=first.pk, state__in=under_way).exists():
        raise FirstCampaignRunsError(f"{first} runs again; it must be stopped before it is rolled back.")


def _refuse_grown(campaign: Campaign, frozen: staging.Frozen) -> None:
    fitting = frozen.fitting + frozen.verdicts.get(Verdict.CONTROL, 0)
    problem = growth_problem(approved=campaign.approved_vehicles, fitting=fitting)
    # What runs a release that is taken back only becomes more.
    if problem is not None and campaign.rolls_back_id is None:
        raise CampaignGrownError(problem, approved=campaign.approved_vehicles, fitting=fitting)


def targets(campaign: Campaign) -> QuerySet[Vehicle]:
    """Return the vehicles that a campaign is for: its group's now, or those to be rolled back."""
    group = campaign.group
    return rollbacks.vehicles_to_roll_back(campaign) if group is None else fleet.vehicles_in(group)


@dataclass(frozen=True)
class FittingNow:
    """How many vehicles could take part if a campaign started now: by band (`rules.ranking`), and held out beside."""

    by_band: Mapping[int, int]
    held_out: int

    @property
    def updated(self) -> int:
        return sum(self.by_band.values())


def fitting_now(campaign: Campaign, release: bundles.ReleaseView, *, at: datetime) -> FittingNow:
    """Return how many vehicles could take part if the campaign started now."""
    counted = kinds.tally(campaign, release, targets(campaign), at=at)
    by_band = {band: count for (verdict, band), count in counted.items() if verdict == Verdict.FITS}
    return FittingNow(by_band, sum(count for (verdict, _), count in counted.items() if verdict == Verdict.CONTROL))


def wave_sizes(waves: Iterable[Wave]) -> list[rules.Size]:
    """Return how large these waves are to be, in the form that the rules judge."""
    return [rules.Size(wave.percent, wave.count, wave.group.name if wave.group is not None else None) for wave in waves]


def waves_problem(campaign: Campaign, fitting: Mapping[int, int]) -> str | None:
    """Return why a campaign's waves do not add up with so many vehicles in each band, in a sentence, or None."""
    sizes, bulk = wave_sizes(campaign.waves.select_related("group")), fitting.get(ranking.BULK_BAND, 0)
    return rules.swallowed(sizes, rules.planned_places(sizes, bulk=bulk, grouped=fitting), bulk=bulk)


def _plan_waves(campaign: Campaign, frozen: staging.Frozen) -> None:
    waves = list(campaign.waves.select_related("group"))
    bulk = frozen.bands.get(ranking.BULK_BAND, 0)
    sizes = wave_sizes(waves)
    planned = rules.planned_places(sizes, bulk=bulk, grouped=frozen.bands)
    problem = rules.unmanned(sizes, planned)
    if problem is not None:
        raise PlanRefusedError(problem)
    for wave, places in zip(waves, planned, strict=True):
        wave.places = places
    Wave.objects.bulk_update(waves, ["places"])


def _plan_gate(campaign: Campaign, strata: Mapping[str, int]) -> None:
    # A single stratum is the pool, unless others may join it.
    tested = strata if campaign.is_stratified and (len(strata) > 1 or campaign.is_dynamic) else {}
    GateState.objects.bulk_create(
        GateState(campaign=campaign, stratum=stratum, planned_results=planned)
        for stratum, planned in [("", sum(strata.values())), *sorted(tested.items())]
    )


def take_in_late(campaign: Campaign, *, at: datetime) -> int:
    """Add to a running roll-back the vehicles that have confirmed the bad release since it started; return how many.

    An installation is never interrupted, so that some end with the bad release after the list was frozen.
    """
    late = targets(campaign)
    if not late.exists():
        return 0
    with staging.staged(campaign, bundles.release_view(campaign.release), late, at=at, is_late=True):
        if not staging.fitting_by_band():
            return 0
        # One that was left out at the start takes part now.
        staging.forget_excluded(campaign, only_fitting=True)
        return staging.write_list(campaign, only_fitting=True, wave=last_wave_if_open(campaign))


def last_wave_if_open(campaign: Campaign) -> Wave | None:
    """Return the wave that vehicles join at once, or None where the last one is still to open and takes all then."""
    if campaign.waves.filter(state=WaveState.WAITING).exists():
        return None
    return campaign.waves.order_by("number").last()
