"""A vehicle's orders as protocols without signed metadata bring them: what, whether now, and whether no longer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from firmware_store.models import Package, ReleaseItem
from firmware_store.states import PackageState
from otaserver.campaigns.errors import AttemptNotFoundError
from otaserver.campaigns.models import Attempt, Report
from otaserver.campaigns.queries.answers import last_answer
from otaserver.campaigns.queries.artifacts import artifact_of
from otaserver.campaigns.queries.orders import consent_terms, directed_windows
from otaserver.campaigns.records import StandingConsent
from otaserver.campaigns.rules import capabilities, delivery
from otaserver.campaigns.rules.consent import goes_ahead_at
from otaserver.campaigns.rules.reports import BY_SERVER
from otaserver.campaigns.rules.windows import Interval, Listing
from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState, ConsentDecision, ReportOutcome, ReportPhase
from otaserver.fleet.models import Vehicle


@dataclass(frozen=True)
class PackageForEcus:
    """One package of an order, and the ECUs that get it. Digests in lower-case hex, `length` in bytes.

    `sha256` names its bytes in `firmware_store.blobs`; `id` is a positive number.
    """

    id: int
    name: str
    version: str
    filename: str
    length: int
    sha256: str
    sha1: str
    md5: str
    published_at: datetime
    artifact: str  # its name, to a client of one artifact at a time
    ecus: Sequence[tuple[str, str]]  # serial and hardware id


@dataclass(frozen=True)
class VehicleOrder:
    """One attempt as its vehicle sees it.

    `delivery` says whether it may be downloaded and installed now. `is_open`: it stands at the vehicle, or is being
    taken back from it (`delivery` is WITHDRAW then); `is_latest`: no other has gone to the vehicle since; `has_ended`:
    the vehicle has said how it ended. `has_windows`: there are times at which it may be installed and others at which
    it may not; `not_before` is when it may be installed, where that lies in the future.
    `is_urgent`: nobody is asked whether. `asked_at`: when the vehicle first heard that somebody is; `goes_ahead_at`:
    from when on nobody is asked any more; `is_deadline_news`: that time is past, nobody agreed, and no record says so.
    """

    attempt_id: UUID
    number: int
    campaign: str
    release: str
    state: AssignmentState
    outcome: ReportOutcome
    is_open: bool
    is_latest: bool
    has_ended: bool
    delivery: delivery.Delivery
    has_windows: bool
    not_before: datetime | None
    is_urgent: bool
    asked_at: datetime | None
    goes_ahead_at: datetime | None
    is_deadline_news: bool
    packages: Sequence[PackageForEcus]


def current_order(vehicle: Vehicle, *, at: datetime) -> VehicleOrder | None:
    """Return the order that stands at the vehicle, also one that is being taken back, or None: there is none."""
    found = _attempts(vehicle).filter(closed_at=None, assignment__state__in=ACTIVE_STATES).first()
    return None if found is None else _described(found, at=at)


def order_numbered(vehicle: Vehicle, number: int, *, at: datetime) -> VehicleOrder:
    """Return what one of the vehicle's attempts ordered, and how it stands.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
    """
    found = _attempts(vehicle).filter(number=number).first()
    if found is None:
        raise AttemptNotFoundError(f"Vehicle {vehicle} has no attempt {number}.", attempt=str(number))
    return _described(found, at=at)


def order_with_id(vehicle: Vehicle, attempt: UUID, *, at: datetime) -> VehicleOrder:
    """Return what one of the vehicle's attempts ordered, by its id, and how it stands.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
    """
    found = _attempts(vehicle).filter(pk=attempt).first()
    if found is None:
        raise AttemptNotFoundError(f"Vehicle {vehicle} has no attempt {attempt}.", attempt=str(attempt))
    return _described(found, at=at)


def last_success(vehicle: Vehicle) -> int | None:
    """Return the number of the last attempt that ended well, or None."""
    good = Attempt.objects.filter(vehicle=vehicle, outcome=ReportOutcome.SUCCESS, closed_at__isnull=False)
    return good.order_by("-number").values_list("number", flat=True).first()


def messages_of(vehicle: Vehicle, number: int, *, limit: int) -> list[str]:
    """Return what the vehicle said of one of its attempts, line by line, newest first."""
    said = Report.objects.filter(attempt__vehicle=vehicle, attempt__number=number).exclude(message="")
    said = said.exclude(message__startswith=BY_SERVER)
    # Each report has one line at least.
    texts = said.order_by("-received_at", "-pk").values_list("message", flat=True)[:limit]
    return [line for text in texts for line in reversed(text.split("\n")) if line][:limit]


def standing_consent(vehicle: Vehicle) -> StandingConsent | None:
    """Return the vehicle's agreement to every order to come, or None: it is asked each time."""
    return StandingConsent.objects.filter(vehicle=vehicle).first()


def _attempts(vehicle: Vehicle) -> QuerySet[Attempt, Any]:
    ends = Report.objects.filter(attempt=OuterRef("pk"), phase=ReportPhase.FINISHED)
    return (
        Attempt.objects.filter(vehicle=vehicle)
        .select_related("assignment__campaign__release", "vehicle__tenant", "vehicle__direction", "stone")
        .annotate(has_ended=Exists(ends.exclude(outcome=ReportOutcome.NONE)))
    )


def _described(attempt: Any, *, at: datetime) -> VehicleOrder:
    vehicle, assignment = attempt.vehicle, attempt.assignment
    campaign, state = assignment.campaign, AssignmentState(assignment.state)
    is_open = attempt.closed_at is None and state in ACTIVE_STATES
    packages = _packages(attempt)
    listed = directed_windows(vehicle.direction) if is_open and hasattr(vehicle, "direction") else None
    terms = consent_terms(campaign)
    deadline = goes_ahead_at(terms, asked_at=assignment.asked_at)
    has_deadline_passed = is_open and deadline is not None and at >= deadline
    decision = last_answer(assignment.pk) if is_open and terms.is_asked else None
    facts = delivery.Facts(
        state=state,
        is_stopped=vehicle.blocked_at is not None or vehicle.tenant.stopped_at is not None,
        are_packages_published=all(package.state == PackageState.PUBLISHED for package, _ in packages),
        can_hold=capabilities.can_hold(vehicle.protocol, vehicle.client),
        is_window_open=Listing(listed, None).is_open(at),
        needs_consent=is_open and terms.is_asked and not has_deadline_passed,
        has_consent=decision == ConsentDecision.YES,
    )
    return VehicleOrder(
        attempt_id=attempt.pk,
        number=attempt.number,
        campaign=campaign.name,
        release=str(attempt.stone or campaign.release),
        state=state,
        outcome=ReportOutcome(attempt.outcome),
        is_open=is_open,
        is_latest=attempt.number == vehicle.last_attempt_number,
        has_ended=attempt.has_ended,
        delivery=delivery.delivery(facts),
        has_windows=listed is not None,
        not_before=_next_opening(listed, at),
        is_urgent=not terms.is_asked or has_deadline_passed,
        asked_at=assignment.asked_at,
        goes_ahead_at=deadline,
        is_deadline_news=has_deadline_passed and decision not in (ConsentDecision.YES, ConsentDecision.DEADLINE),
        packages=[_for_ecus(package, ecus) for package, ecus in packages],
    )


def _packages(attempt: Attempt) -> list[tuple[Package, list[tuple[str, str]]]]:
    items = ReleaseItem.objects.filter(
        release=attempt.stone_id or attempt.assignment.campaign.release_id, package=OuterRef("pk")
    )
    rows: QuerySet[Package, Any] = Package.objects.filter(pk__in=attempt.packages.values()).annotate(
        position=Subquery(items.values("position")[:1])
    )
    hardware = dict(attempt.vehicle.ecus.values_list("serial", "hardware_id"))
    found = [
        (row, sorted((serial, hardware.get(serial, "")) for serial, pk in attempt.packages.items() if pk == row.pk))
        for row in rows
    ]
    return sorted(found, key=lambda pair: (pair[0].position or 0, pair[1]))


def _for_ecus(package: Package, ecus: Sequence[tuple[str, str]]) -> PackageForEcus:
    return PackageForEcus(
        id=package.pk,
        name=package.name,
        version=package.version,
        filename=package.filename,
        length=package.length,
        sha256=package.sha256,
        sha1=package.sha1,
        md5=package.md5,
        published_at=package.published_at or package.created_at,
        artifact=artifact_of(package),
        ecus=ecus,
    )


def _next_opening(listed: Sequence[Interval] | None, at: datetime) -> datetime | None:
    coming = [] if listed is None else [each.start for each in listed if each.end > at]
    return coming[0] if coming and coming[0] > at else None
