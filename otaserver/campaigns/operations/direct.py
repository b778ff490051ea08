"""One vehicle now: a release to a car on a test bench, in one action."""

from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, transaction

from firmware_store.models import Release
from otaserver.campaigns.errors import (
    CampaignNameTakenError,
    NotTestBenchError,
    NoVehicleFitsError,
    PlanRefusedError,
    VehicleBusyError,
    VehicleHeldUpError,
)
from otaserver.campaigns.models import Assignment, Campaign, GateState, Wave
from otaserver.campaigns.operations import checks, decisions, offers, staging, stops
from otaserver.campaigns.queries import bundles, explanations
from otaserver.campaigns.rules import matching
from otaserver.campaigns.rules.explanations import BUSY
from otaserver.campaigns.states import (
    IN_FLIGHT_STATES,
    AssignmentState,
    CampaignKind,
    CampaignState,
    Verdict,
    WaveState,
)
from otaserver.fleet.models import Vehicle


@transaction.atomic
def order_now(vehicle: Vehicle, *, release: Release, reason: str, by: str, at: datetime) -> Campaign:
    """Order a release for one vehicle on a test bench, at once: without gate, waves, approval and way back.

    It is a campaign of one vehicle, of its own kind, so that it is stopped, reported on and explained like any other.

    Raises:
        ReasonMissingError: no reason is given.
        TenantStoppedError: everything of the tenant is stopped.
        NotTestBenchError: the vehicle is not marked as standing on a test bench.
        VehicleBusyError: it has an order, or soaks, or another campaign goes first: one at a time.
        VehicleHeldUpError: a blackout is in force, or something else of `explanations` holds it up.
        NoVehicleFitsError: the release does not fit it; the sentence says why.
        ReleaseNotPublishedError, MetadataEndsError: see `checks`.
        PlanRefusedError: the release is another tenant's.
    """
    reason = decisions.require_reason(reason)
    # One at a time: of two orders in the same moment the second finds the first.
    vehicle = Vehicle.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=vehicle.pk)
    stops.refuse_stopped(vehicle.tenant)
    if release.tenant_id != vehicle.tenant_id:
        raise PlanRefusedError(f"Release {release} is not of the vehicle's tenant.")
    if not vehicle.is_test_bench:
        raise NotTestBenchError(
            f"Vehicle {vehicle} is not marked as standing on a test bench.", vehicle_id=vehicle.vehicle_id
        )
    _refuse_busy(vehicle)
    view = checks.require_published(release)
    _require_fit(vehicle, view)
    campaign = _make_campaign(vehicle, release, reason, by=by, at=at)
    checks.require_lasting_metadata(campaign, view, starts_at=at)
    # Its one failure is for whoever stands beside it, not for a gate.
    wave = Wave.objects.create(
        campaign=campaign, number=1, percent=Decimal(100), places=1, max_failed=1, state=WaveState.OPEN, opened_at=at
    )
    GateState.objects.create(campaign=campaign, planned_results=1)
    with staging.staged(campaign, view, Vehicle.objects.filter(pk=vehicle.pk), at=at):
        staging.write_list(campaign, only_fitting=True, wave=wave)
    offers.offer(campaign, at=at)
    _require_offered(campaign, vehicle, at=at)
    sentence = f"Ordered {view.label} for {vehicle} now: {reason}"
    decided = decisions.draft(
        campaign, "campaign.ordered_now", sentence, by=by, at=at, vehicle=vehicle.vehicle_id, reason=reason
    )
    decisions.record(campaign, [decided])
    return campaign


def _refuse_busy(vehicle: Vehicle) -> None:
    others = Assignment.objects.filter(vehicle=vehicle, state__in=IN_FLIGHT_STATES).select_related("campaign")
    other = others.first()
    if other is not None:
        raise VehicleBusyError(
            f"Vehicle {vehicle} is {other.get_state_display().lower()} in {other.campaign}; one order at a time.",
            vehicle_id=vehicle.vehicle_id,
            campaign=other.campaign.name,
        )


def _require_offered(campaign: Campaign, vehicle: Vehicle, *, at: datetime) -> None:
    own = list(campaign.assignments.select_related("campaign__tenant", "campaign__release", "vehicle"))
    if [each.state for each in own] == [AssignmentState.OFFERED]:
        return
    found = explanations.explained(own, at=at)
    sentence = " ".join(each.sentence for each in found.values()) or "It takes no part."
    said = f"Vehicle {vehicle} gets no order now: {sentence}"
    held_up = next((each.hold_up for each in found.values() if each.hold_up is not None), None)
    if held_up is None or held_up.remedy == BUSY:
        raise VehicleBusyError(said, vehicle_id=vehicle.vehicle_id)
    raise VehicleHeldUpError(
        said, vehicle_id=vehicle.vehicle_id, reason=held_up.remedy.code, remedy=held_up.remedy.remedy
    )


def _require_fit(vehicle: Vehicle, release: bundles.ReleaseView) -> None:
    for view in bundles.vehicle_views(vehicle.tenant, [vehicle.pk]):
        match = matching.match(release.bundle, view.candidate)
        if match.verdict != Verdict.FITS:
            raise NoVehicleFitsError(match.detail, verdict=str(match.verdict))


def _make_campaign(vehicle: Vehicle, release: Release, reason: str, *, by: str, at: datetime) -> Campaign:
    name = f"direct {vehicle.vehicle_id} {vehicle.last_attempt_number + 1}"
    try:
        with transaction.atomic():
            return Campaign.objects.create(
                tenant=vehicle.tenant,
                name=name,
                kind=CampaignKind.DIRECT,
                state=CampaignState.RUNNING,
                release=release,
                no_way_back_reason=reason,
                created_by=by,
                created_at=at,
                started_at=at,
            )
    except IntegrityError as error:
        raise CampaignNameTakenError(f"There is a campaign {name!r} already.", name=name) from error
