"""A vehicle's orders as protocols without signed metadata bring them: what, whether now, and whether no longer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, QuerySet, Subquery

from otaserver.campaigns.errors import AttemptNotFoundError
from otaserver.campaigns.models import Attempt, Report
from otaserver.campaigns.queries.answers import last_answer
from otaserver.campaigns.queries.ordered_packages import IsAnyUnpublished, PackageForEcus, packages_of
from otaserver.campaigns.queries.orders import consent_terms, directed_windows
from otaserver.campaigns.records import StandingConsent
from otaserver.campaigns.rules import capabilities, delivery
from otaserver.campaigns.rules.consent import goes_ahead_at
from otaserver.campaigns.rules.reports import BY_SERVER
from otaserver.campaigns.rules.windows import Interval, Listing
from otaserver.campaigns.states import ACTIVE_STATES, AssignmentState, ConsentDecision, ReportOutcome, ReportPhase
from otaserver.fleet.models import Vehicle
from otaserver.prepared import Prepared


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
    preconditions: Sequence[Mapping[str, Any]]
    package_ids: frozenset[int]
    _attempt: Attempt = field(repr=False, compare=False)

    @cached_property
    def packages(self) -> list[PackageForEcus]:
        """Return what it brings, in the order of its release: one more read, once."""
        return packages_of(self._attempt)


def current_order(vehicle: Vehicle, *, at: datetime) -> VehicleOrder | None:
    """Return the order that stands at the vehicle, also one that is being taken back, or None: there is none."""
    found = _OPEN.rows(vehicle=vehicle.pk)
    return _described(vehicle, found[0], at=at) if found else None


def order_numbered(vehicle: Vehicle, number: int, *, at: datetime) -> VehicleOrder:
    """Return what one of the vehicle's attempts ordered, and how it stands.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
    """
    found = _NUMBERED.rows(vehicle=vehicle.pk, number=number) if 0 <= number < 2**31 else []
    if not found:
        raise AttemptNotFoundError(f"Vehicle {vehicle} has no attempt {number}.", attempt=str(number))
    return _described(vehicle, found[0], at=at)


def order_with_id(vehicle: Vehicle, attempt: UUID, *, at: datetime) -> VehicleOrder:
    """Return what one of the vehicle's attempts ordered, by its id, and how it stands.

    Raises:
        AttemptNotFoundError: the vehicle has no such attempt.
    """
    found = _BY_ID.rows(vehicle=vehicle.pk, attempt=attempt)
    if not found:
        raise AttemptNotFoundError(f"Vehicle {vehicle} has no attempt {attempt}.", attempt=str(attempt))
    return _described(vehicle, found[0], at=at)


def last_success(vehicle: Vehicle) -> int | None:
    """Return the number of the last attempt that ended well, or None.

    With it comes what was not known of the vehicle.
    """
    found: Any = _LAST_SUCCESS.rows(vehicle=vehicle.pk)[0]
    vehicle.fill(found)
    number: int | None = found.last_success
    return number


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


def _with_last_success(vehicle: int) -> QuerySet[Vehicle, Any]:
    good = Attempt.objects.filter(vehicle=OuterRef("pk"), outcome=ReportOutcome.SUCCESS, closed_at__isnull=False)
    newest = good.order_by("-number").values("number")[:1]
    return Vehicle.objects.filter(pk=vehicle).annotate(last_success=Subquery(newest))


def _attempts(vehicle: int, **conditions: Any) -> QuerySet[Attempt, Any]:
    """Return the first of the vehicle's attempts with all that one read can tell of each."""
    ends = Report.objects.filter(attempt=OuterRef("pk"), phase=ReportPhase.FINISHED)
    return (
        Attempt.objects.filter(vehicle=vehicle, **conditions)
        .select_related("assignment__campaign__release", "vehicle__tenant", "vehicle__direction", "stone")
        .annotate(
            has_ended=Exists(ends.exclude(outcome=ReportOutcome.NONE)),
            is_any_unpublished=IsAnyUnpublished(F("packages")),
            answer=Subquery(last_answer(OuterRef("assignment"))),
        )
        .order_by("pk")[:1]
    )


_OPEN = Prepared(partial(_attempts, closed_at=None, assignment__state__in=sorted(ACTIVE_STATES)), numbers=("vehicle",))
_NUMBERED = Prepared(_attempts, numbers=("vehicle", "number"))
_LAST_SUCCESS = Prepared(_with_last_success, numbers=("vehicle",))
_BY_ID = Prepared(lambda vehicle, attempt: _attempts(vehicle, pk=attempt), numbers=("vehicle",), ids=("attempt",))


def _described(caller: Vehicle, attempt: Any, *, at: datetime) -> VehicleOrder:
    vehicle, assignment = attempt.vehicle, attempt.assignment
    # What was just read of it nobody has to read again.
    caller.fill(vehicle)
    campaign, state = assignment.campaign, AssignmentState(assignment.state)
    is_open = attempt.closed_at is None and state in ACTIVE_STATES
    listed = directed_windows(vehicle.direction) if is_open and hasattr(vehicle, "direction") else None
    terms = consent_terms(campaign)
    deadline = goes_ahead_at(terms, asked_at=assignment.asked_at)
    has_deadline_passed = is_open and deadline is not None and at >= deadline
    decision = attempt.answer if is_open and terms.is_asked else None
    facts = delivery.Facts(
        state=state,
        is_stopped=vehicle.blocked_at is not None or vehicle.tenant.stopped_at is not None,
        are_packages_published=not attempt.is_any_unpublished,
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
        preconditions=campaign.preconditions or [],
        package_ids=frozenset(attempt.packages.values()),
        _attempt=attempt,
    )


def _next_opening(listed: Sequence[Interval] | None, at: datetime) -> datetime | None:
    coming = [] if listed is None else [each.start for each in listed if each.end > at]
    return coming[0] if coming and coming[0] > at else None
