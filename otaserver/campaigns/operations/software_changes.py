"""Software that changed: by an order, back from one, or from elsewhere (a workshop flash), and what follows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

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


def has_unrecorded(vehicle: int) -> Q:
    """Return, as a part of a query, whether this vehicle (its row's id) has images newer than its last change."""
    return Q(Exists(_images_after_last_change(vehicle)))


def record_changes(vehicle: Vehicle, *, latest: Attempt | None, packages: Mapping[int, Package], at: datetime) -> None:
    """Record what changed on a vehicle since its last recorded change, and meet foreign software as the policy says.

    The policy is that of the newest open campaign that covers the vehicle, else the tenant's. What cannot be re-driven
    is flagged. Repeating it changes nothing. The caller holds the vehicle's row, so that each image is recorded once.

    `latest` is the vehicle's last attempt, and `packages` are those that the caller has read, by their rows' ids.
    """
    images = _unrecorded(vehicle)
    if not images:
        return
    causes = _causes(vehicle, images, latest, {pk: package.sha256 for pk, package in packages.items()})
    found = [_change(vehicle, image, cause) for image, cause in zip(images, causes, strict=True)]
    foreign = [change for change in found if change.cause == ChangeCause.FOREIGN]
    if foreign:
        policy, campaign = _meet(vehicle, at=at)
        for change in foreign:
            change.policy, change.campaign = policy, campaign
    SoftwareChange.objects.bulk_create(found)
    if images[0].recorded + len(found) > rules.MAX_CHANGES:
        _prune(vehicle)


class _Image(NamedTuple):
    """One image, with the two that its ECU ran before it, the later one first, and how many changes are recorded."""

    ecu_serial: str
    target_name: str
    sha256: str
    since: datetime
    from_target: str
    from_sha256: str
    ran_before_that: str
    recorded: int


def _images_after_last_change(vehicle: int) -> QuerySet[InstalledImage]:
    last = SoftwareChange.objects.filter(vehicle=vehicle).order_by("-at").values("at")[:1]
    images = InstalledImage.objects.filter(vehicle=vehicle).annotate(last=Subquery(last))
    return images.filter(Q(last=None) | Q(since__gt=F("last")))


def _unrecorded(vehicle: Vehicle) -> list[_Image]:
    before = InstalledImage.objects.filter(
        vehicle=OuterRef("vehicle"), ecu_serial=OuterRef("ecu_serial"), pk__lt=OuterRef("pk")
    ).order_by("-pk")
    changes = SoftwareChange.objects.filter(vehicle=OuterRef("vehicle")).order_by().values("vehicle")
    rows = _images_after_last_change(vehicle.pk).values_list(
        "ecu_serial",
        "target_name",
        "sha256",
        "since",
        Coalesce(Subquery(before.values("target_name")[:1]), Value("")),
        Coalesce(Subquery(before.values("sha256")[:1]), Value("")),
        Coalesce(Subquery(before.values("sha256")[1:2]), Value("")),
        Coalesce(Subquery(changes.annotate(count=Count("pk")).values("count")), Value(0)),
    )
    return [_Image(*row) for row in rows.order_by("-since", "-pk")[: rules.MAX_CHANGES]][::-1]


def _change(vehicle: Vehicle, image: _Image, cause: ChangeCause) -> SoftwareChange:
    return SoftwareChange(
        vehicle=vehicle,
        ecu_serial=image.ecu_serial,
        from_target=image.from_target,
        from_sha256=image.from_sha256,
        to_target=image.target_name,
        to_sha256=image.sha256,
        at=image.since,
        cause=cause,
    )


def _causes(
    vehicle: Vehicle, images: Sequence[_Image], latest: Attempt | None, digests: Mapping[int, str]
) -> list[ChangeCause]:
    """Return why each image came. Earlier orders are only asked for where the last one does not tell it."""
    asked = {image: _last_order(latest, image) for image in images}
    found = {image: _cause(image, asked[image], digests) for image in images}
    untold = [image for image in images if found[image] not in (ChangeCause.FIRST, ChangeCause.ORDER)]
    if untold:
        asked = _last_orders(vehicle, untold)
        wanted = {pk for image in untold for pk in _packages(image, asked[image])} - digests.keys()
        digests = dict(digests) | dict(Package.objects.filter(pk__in=wanted).values_list("pk", "sha256"))
        found |= {image: _cause(image, asked[image], digests) for image in untold}
    return [found[image] for image in images]


def _cause(image: _Image, orders: Sequence[Mapping[str, int]], digests: Mapping[int, str]) -> ChangeCause:
    return rules.cause(
        before=image.from_sha256,
        now=image.sha256,
        ran_before_that=image.ran_before_that,
        ordered={digests[pk] for pk in _packages(image, orders) if pk in digests},
    )


def _packages(image: _Image, orders: Sequence[Mapping[str, int]]) -> list[int]:
    return [order[image.ecu_serial] for order in orders if image.ecu_serial in order]


def _last_order(latest: Attempt | None, image: _Image) -> list[dict[str, int]]:
    return [latest.packages] if latest is not None and latest.opened_at <= image.since else []


def _last_orders(vehicle: Vehicle, images: Sequence[_Image]) -> dict[_Image, list[dict[str, int]]]:
    """Return what the last orders before each image asked for: read once for all that came at one time."""
    by_time: dict[datetime, list[dict[str, int]]] = {}
    for since in {image.since for image in images}:
        attempts = Attempt.objects.filter(vehicle=vehicle, opened_at__lte=since).order_by("-number")
        by_time[since] = list(attempts.values_list("packages", flat=True)[: rules.ORDERS_CONSIDERED])
    return {image: by_time[image.since] for image in images}


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
