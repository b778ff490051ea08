"""Software that changed: by an order, back from one, or from elsewhere (a workshop flash), and what follows."""

from datetime import datetime

from django.db.models import QuerySet

from firmware_store.models import Package
from otaserver.campaigns.models import Assignment, Attempt, Campaign, SoftwareChange
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import software_changes as rules
from otaserver.campaigns.rules.failures import ADOPTED
from otaserver.campaigns.states import AssignmentState, CampaignState, ChangeCause, Verdict
from otaserver.director.models import InstalledImage
from otaserver.fleet.models import Vehicle
from otaserver.tenants.states import ForeignSoftware

_OPEN = [CampaignState.RUNNING, CampaignState.PAUSED]
_STANDING = [*_OPEN, CampaignState.HALTED]


def record_changes(vehicle: Vehicle, *, at: datetime) -> None:
    """Record what changed on a vehicle since its last recorded change, and meet foreign software as the policy says.

    The policy is that of the newest open campaign that covers the vehicle, else the tenant's. What cannot be re-driven
    is flagged. Repeating it changes nothing.
    """
    # One manifest at a time, so that each image is recorded once.
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    images = _unrecorded(vehicle)
    if not images:
        return
    found = [_change(vehicle, image) for image in images]
    foreign = [change for change in found if change.cause == ChangeCause.FOREIGN]
    if foreign:
        policy, campaign = _meet(vehicle, at=at)
        for change in foreign:
            change.policy, change.campaign = policy, campaign
    SoftwareChange.objects.bulk_create(found)
    _prune(vehicle)


def _unrecorded(vehicle: Vehicle) -> list[InstalledImage]:
    images = InstalledImage.objects.filter(vehicle=vehicle)
    last = vehicle.software_changes.order_by("-at", "-pk").values_list("at", flat=True).first()
    if last is not None:
        images = images.filter(since__gt=last)
    return list(images.order_by("-since", "-pk")[: rules.MAX_CHANGES])[::-1]


def _change(vehicle: Vehicle, image: InstalledImage) -> SoftwareChange:
    earlier = InstalledImage.objects.filter(vehicle=vehicle, ecu_serial=image.ecu_serial, pk__lt=image.pk)
    before = list(earlier.order_by("-pk")[:2])
    return SoftwareChange(
        vehicle=vehicle,
        ecu_serial=image.ecu_serial,
        from_target=before[0].target_name if before else "",
        from_sha256=before[0].sha256 if before else "",
        to_target=image.target_name,
        to_sha256=image.sha256,
        at=image.since,
        cause=rules.cause(
            before=before[0].sha256 if before else "",
            now=image.sha256,
            ran_before_that=before[1].sha256 if len(before) > 1 else "",
            ordered=_ordered(vehicle, image),
        ),
    )


def _ordered(vehicle: Vehicle, image: InstalledImage) -> set[str]:
    attempts = Attempt.objects.filter(vehicle=vehicle, opened_at__lte=image.since).order_by("-number")
    asked = attempts.values_list("packages", flat=True)[: rules.ORDERS_CONSIDERED]
    wanted = [packages[image.ecu_serial] for packages in asked if image.ecu_serial in packages]
    return set(Package.objects.filter(pk__in=wanted).values_list("sha256", flat=True))


def _meet(vehicle: Vehicle, *, at: datetime) -> tuple[str, Campaign | None]:
    """Do what the policy says about foreign software; return what was done, and in which campaign."""
    covering = Assignment.objects.filter(vehicle=vehicle, campaign__state__in=_STANDING)
    covering = covering.exclude(state=AssignmentState.EXCLUDED)
    newest = covering.select_related("campaign__release").order_by("-campaign__started_at", "-pk").first()
    policy = (newest.campaign.foreign_software if newest else "") or vehicle.tenant.foreign_software
    if policy == ForeignSoftware.ADOPT:
        return policy, _adopt(vehicle, covering.filter(state=AssignmentState.WAITING), at=at)
    if policy == ForeignSoftware.REDRIVE and (redriven := _redrive(vehicle)) is not None:
        return policy, redriven
    return ForeignSoftware.FLAG, newest.campaign if newest else None


def _adopt(vehicle: Vehicle, waiting: QuerySet[Assignment], *, at: datetime) -> Campaign | None:
    """Settle the campaigns that wait to bring what the vehicle now has; it counts neither way."""
    adopted = None
    view = next(bundles.vehicle_views(vehicle.tenant, [vehicle.pk]))
    for assignment in _free(waiting):
        release = bundles.release_view(assignment.campaign.release)
        if release.route(view.candidate).match.verdict == Verdict.ALREADY_THERE:
            message = "The software came from elsewhere."
            assignment.move_to(
                AssignmentState.SUPERSEDED, settled_at=at, next_attempt_at=None, code=ADOPTED, message=message
            )
            adopted = assignment.campaign
    return adopted


def _redrive(vehicle: Vehicle) -> Campaign | None:
    """Let the vehicle wait again in the open campaign that brought it our last confirmed release.

    Its result stays counted as it was; it is brought back as often as the campaign tries a vehicle.
    """
    last = Assignment.objects.filter(vehicle=vehicle, state=AssignmentState.SUCCEEDED, campaign__state__in=_OPEN)
    assignment = _free(last).order_by("-settled_at", "-pk").first()
    if assignment is None:
        return None
    campaign = assignment.campaign
    driven = vehicle.software_changes.filter(campaign=campaign, policy=ForeignSoftware.REDRIVE)
    if driven.values("at").distinct().count() >= campaign.max_attempts:
        return None
    assignment.move_to(
        AssignmentState.WAITING, settled_at=None, offered_at=None, installing_at=None, next_attempt_at=None
    )
    return campaign


def _free(rows: QuerySet[Assignment]) -> QuerySet[Assignment]:
    # The vehicle's row is held, and offers lock assignments before it: what they hold is theirs, and is not waited for.
    free = rows.select_for_update(of=("self",), skip_locked=True, no_key=True)
    return free.select_related("campaign__release")


def _prune(vehicle: Vehicle) -> None:
    """Keep the newest changes of a vehicle; what it ran when stands in its images too."""
    beyond = vehicle.software_changes.order_by("-at", "-pk").values_list("pk", flat=True)[rules.MAX_CHANGES :]
    SoftwareChange.objects.filter(pk__in=list(beyond)).delete()
