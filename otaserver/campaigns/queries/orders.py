from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from otaserver.campaigns.models import Attempt, Campaign
from otaserver.campaigns.queries.bundles import ReleaseView, release_view
from otaserver.campaigns.rules import consent, preconditions
from otaserver.campaigns.rules.windows import Interval
from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState
from otaserver.director.models import Direction
from otaserver.director.orders import Order, OrderedPackage
from otaserver.fleet.models import Vehicle


def build_order(
    campaign: Campaign,
    release: ReleaseView,
    *,
    attempt_id: UUID,
    number: int,
    packages: dict[str, int],
    hardware: dict[str, str],
    windows: Sequence[Interval] | None = None,
) -> Order:
    """Return all that one attempt asks of a vehicle: `packages` by ECU serial, and the ECUs' hardware ids.

    `windows` as in `schedules.Schedules`: None is at any time.
    """
    positions = {item.package_id: item.position for item in release.bundle.items}
    return Order(
        attempt_id=attempt_id,
        number=number,
        campaign=campaign.name,
        release=release.label,
        packages=[
            _ordered(release, serial, hardware[serial], package_id, positions[package_id])
            for serial, package_id in packages.items()
        ],
        grace_hours=campaign.grace_hours,
        windows=None if windows is None else [(each.start, each.end) for each in windows],
        preconditions=preconditions.signed(campaign.preconditions),
        consent=consent.signed(consent_terms(campaign)),
        notes=release.release.notes,
    )


def consent_terms(campaign: Campaign) -> consent.Terms:
    """Return what a campaign asks of owners in the form that the rules judge."""
    return consent.Terms(campaign.consent, campaign.consent_postponements, campaign.consent_deadline_seconds)


def _ordered(release: ReleaseView, serial: str, hardware_id: str, package_id: int, position: int) -> OrderedPackage:
    package = release.packages[package_id]
    return OrderedPackage(
        ecu_serial=serial,
        hardware_id=hardware_id,
        target_name=package.target_name,
        name=package.name,
        version=package.version,
        length=package.length,
        sha256=package.sha256,
        sha512=package.sha512,
        hardware_ids=package.hardware_ids,
        release_counter=package.release_counter,
        position=position,
    )


def order_for(vehicle: Vehicle) -> Order | None:
    """Return what the vehicle should do now, or None: nothing, also where it is to drop an order that was withdrawn."""
    attempt = (
        Attempt.objects.filter(
            vehicle=vehicle, closed_at=None, assignment__state__in=ACTIVE_STATES - {AssignmentState.WITHDRAWING}
        )
        .select_related("assignment__campaign__release", "vehicle__direction", "stone")
        .first()
    )
    if attempt is None:
        return None
    campaign = attempt.assignment.campaign
    return build_order(
        campaign,
        release_view(attempt.stone or campaign.release),
        attempt_id=attempt.pk,
        number=attempt.number,
        packages=attempt.packages,
        hardware=dict(vehicle.ecus.filter(serial__in=attempt.packages).values_list("serial", "hardware_id")),
        windows=directed_windows(attempt.vehicle.direction),
    )


def directed_windows(direction: Direction) -> list[Interval] | None:
    """Return when the order that a vehicle is directed to may be installed; None: at any time."""
    # What was directed holds until it is renewed: computed afresh, two protocols could be told different things.
    listed = None if direction.content is None else direction.content["custom"]["order"].get("windows")
    if listed is None:
        return None
    return [Interval(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in listed]
