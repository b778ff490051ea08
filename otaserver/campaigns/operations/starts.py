"""Starting: the list of vehicles is frozen, with verdict, rank, stratum and what each ran."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db import transaction

from otaserver.campaigns.errors import FirstCampaignRunsError, NoVehicleFitsError
from otaserver.campaigns.models import Assignment, Campaign, GateState, Wave
from otaserver.campaigns.operations import checks, decisions, rollbacks, stops
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import matching, ranking
from otaserver.campaigns.rules import waves as rules
from otaserver.campaigns.states import AssignmentState, CampaignState, Verdict, WaveState
from otaserver.fleet import queries as fleet

INSERT_CHUNK = 2000


@transaction.atomic
def start_campaign(campaign: Campaign, *, by: str, at: datetime) -> None:
    """Start an approved or scheduled campaign: freeze its list of vehicles. The next tick opens the first wave.

    Raises:
        TenantStoppedError: everything of the tenant is stopped.
        ReleaseNotPublishedError, NoWayBackError: a package of the release, or of the one to return to, was withdrawn.
        MetadataEndsError: it would outlive metadata that vehicles need.
        NoVehicleFitsError: none can take part.
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
    strata: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for assignments in _chunks(_frozen(campaign, release, targets(campaign))):
        verdicts.update(assignment.verdict for assignment in assignments)
        strata.update(a.stratum for a in assignments if a.verdict == Verdict.FITS)
        Assignment.objects.bulk_create(assignments)
    fitting = verdicts[Verdict.FITS]
    if not fitting:
        raise NoVehicleFitsError(f"No vehicle fits {release.label}.", verdicts=dict(verdicts))
    _plan_waves(campaign, fitting)
    _plan_gate(campaign, strata)
    sentence = f"Started with {decisions.vehicles(fitting)}, without {verdicts.total() - fitting} that do not fit."
    decided = decisions.draft(campaign, "campaign.started", sentence, by=by, at=at, verdicts=dict(verdicts))
    decisions.record(campaign, [decided])


def _refuse_beside_first(campaign: Campaign) -> None:
    # It had stopped when the roll-back was drafted, and may have been resumed in that very moment.
    under_way = [CampaignState.RUNNING, CampaignState.PAUSED]
    first = campaign.rolls_back
    if first is not None and Campaign.objects.filter(pk=first.pk, state__in=under_way).exists():
        raise FirstCampaignRunsError(f"{first} runs again; it must be stopped before it is rolled back.")


def targets(campaign: Campaign) -> list[int]:
    """Return the vehicles that a campaign is for, by their rows' ids: its group's now, or those to be rolled back."""
    group = campaign.group
    vehicles = rollbacks.vehicles_to_roll_back(campaign) if group is None else fleet.vehicles_in(group)
    return list(vehicles.order_by("pk").values_list("pk", flat=True))


def first_that_fits(campaign: Campaign, release: bundles.ReleaseView) -> bool:
    """Return whether any vehicle could take part now; stops at the first."""
    views = bundles.vehicle_views(campaign.tenant, targets(campaign))
    return any(release.route(view.candidate).match.verdict == Verdict.FITS for view in views)


def _frozen(campaign: Campaign, release: bundles.ReleaseView, vehicles: list[int]) -> Iterator[Assignment]:
    # Vehicles that run the same on the same hardware get the same answer: of a fleet there are few kinds.
    answers: dict[object, tuple[matching.Match, str]] = {}
    for view in bundles.vehicle_views(campaign.tenant, vehicles):
        candidate = view.candidate
        kind = (
            candidate.is_enrolled,
            candidate.is_blocked,
            tuple(sorted((c.hardware_id, c.installed_sha256, str(c.software)) for c in candidate.computers)),
        )
        if kind not in answers:
            match = release.route(candidate).match
            answers[kind] = match, matching.stratum(candidate.computers, release.bundle.items)
        match, stratum = answers[kind]
        fits = match.verdict == Verdict.FITS
        yield Assignment(
            campaign=campaign,
            vehicle_id=view.pk,
            state=AssignmentState.WAITING if fits else AssignmentState.EXCLUDED,
            verdict=match.verdict,
            verdict_detail=match.detail,
            rank=ranking.rank(campaign.name, view.vehicle_id),
            stratum=stratum,
            configuration=view.configuration,
        )


def _chunks(assignments: Iterable[Assignment]) -> Iterator[list[Assignment]]:
    chunk: list[Assignment] = []
    for assignment in assignments:
        chunk.append(assignment)
        if len(chunk) == INSERT_CHUNK:
            yield chunk
            chunk = []
    yield chunk


def _plan_waves(campaign: Campaign, fitting: int) -> None:
    waves = list(campaign.waves.all())
    for wave, places in zip(waves, rules.places(fitting, [wave.percent for wave in waves]), strict=True):
        wave.places = places
    Wave.objects.bulk_update(waves, ["places"])


def _plan_gate(campaign: Campaign, strata: Counter[str]) -> None:
    # A single stratum is the pool.
    tested = strata if campaign.is_stratified and len(strata) > 1 else Counter[str]()
    GateState.objects.bulk_create(
        GateState(campaign=campaign, stratum=stratum, planned_results=planned)
        for stratum, planned in [("", strata.total()), *sorted(tested.items())]
    )


def take_in_late(campaign: Campaign) -> int:
    """Add to a running roll-back the vehicles that have confirmed the bad release since it started; return how many.

    An installation is never interrupted, so that some end with the bad release after the list was frozen.
    """
    late = targets(campaign)
    if not late:
        return 0
    release = bundles.release_view(campaign.release)
    joining = [assignment for assignment in _frozen(campaign, release, late) if assignment.verdict == Verdict.FITS]
    if not campaign.waves.filter(state=WaveState.WAITING).exists():
        # No wave is left to take them.
        last = campaign.waves.order_by("number").last()
        for assignment in joining:
            assignment.wave = last
    # One that was left out at the start takes part now.
    vehicles = [assignment.vehicle_id for assignment in joining]
    campaign.assignments.filter(vehicle__in=vehicles, state=AssignmentState.EXCLUDED).delete()
    Assignment.objects.bulk_create(joining)
    return len(joining)
