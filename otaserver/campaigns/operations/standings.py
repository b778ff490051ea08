"""Where the attempts stand that reports speak of: read and locked in one statement, however many reports there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from otaserver.campaigns.models import Assignment, Attempt, Report
from otaserver.campaigns.operations.told import Told
from otaserver.campaigns.rules import deadlines
from otaserver.campaigns.states import STOPPABLE_STATES, ReportOutcome, ReportPhase
from otaserver.fleet.models import Vehicle

_TIMEOUTS = ("offer", "download", "install", "soak")
_COLUMNS = (
    "pk",
    "state",
    "due_at",
    "offered_at",
    "code",
    "message",
    "vehicle_id",
    "vehicle__last_attempt_number",
    "attempts__pk",
    "attempts__number",
    "attempts__stone_id",
    "attempts__outcome",
    "ends",
    "others",
    "campaign__grace_hours",
    *(f"campaign__{name}_timeout_seconds" for name in _TIMEOUTS[:3]),
    "campaign__soak_seconds",
)


@dataclass
class Standing:
    """One attempt with its assignment, which is locked until the transaction ends; it moves as reports move that."""

    assignment_id: int
    state: str
    due_at: datetime | None
    offered_at: datetime | None
    code: str
    message: str
    vehicle_id: int
    last_number: int
    attempt_id: UUID
    number: int
    stone_id: int | None
    attempt_outcome: str
    ends: int
    others: int
    timeouts: deadlines.Timeouts
    # With all that moving them takes, once something moves.
    attempt: Attempt | None = None
    is_last_number_sure: bool = False

    @property
    def is_over(self) -> bool:
        """Return whether this attempt was a hop that is proved: its success has been told, and moves nothing more."""
        return self.stone_id is not None and self.attempt_outcome == ReportOutcome.SUCCESS

    def is_latest(self) -> bool:
        """Return whether no other order has gone to the vehicle since this attempt: only then may it still move."""
        if self.state not in STOPPABLE_STATES and not self.is_last_number_sure:
            # What ended may come to life again while another campaign offers: the vehicle's row decides who was first.
            vehicles = Vehicle.objects.select_for_update(no_key=True)
            self.last_number = vehicles.values_list("last_attempt_number", flat=True).get(pk=self.vehicle_id)
            self.is_last_number_sure = True
        return self.number == self.last_number

    def loaded(self) -> Attempt:
        """Return the attempt with its assignment and that one's campaign and vehicle, as this transaction has them."""
        if self.attempt is None:
            rows = Attempt.objects.select_related("assignment__campaign", "assignment__vehicle")
            self.attempt = rows.get(pk=self.attempt_id)
        return self.attempt


def locked(told: Sequence[Told]) -> list[Standing | None]:
    """Lock the assignments of the attempts that are spoken of, in their order, and return where each stands.

    Reports on one attempt share its standing. None: the vehicle has no such attempt.
    """
    if not told:
        return []
    by_id = {one.report.attempt for one in told if isinstance(one.report.attempt, UUID)}
    numbers = {(one.vehicle.pk, one.report.attempt) for one in told if isinstance(one.report.attempt, int)}
    vehicles = {one.vehicle.pk for one in told}
    wanted = Q(attempts__pk__in=by_id, vehicle__in=vehicles) if by_id else Q()
    for vehicle, number in numbers:
        wanted |= Q(vehicle=vehicle, attempts__number=number)
    rows = (
        Assignment.objects.filter(wanted)
        .select_for_update(of=("self",), no_key=True)
        .annotate(ends=_count(Q(phase=ReportPhase.FINISHED)), others=_count(~Q(phase=ReportPhase.FINISHED)))
        .order_by("pk")
        .values_list(*_COLUMNS)
    )
    found: dict[tuple[int, UUID | int], Standing] = {}
    for row in rows:
        standing = _standing(row)
        found[standing.vehicle_id, standing.attempt_id] = found[standing.vehicle_id, standing.number] = standing
    return [found.get((one.vehicle.pk, one.report.attempt)) for one in told]


def _count(condition: Q) -> Subquery:
    reports: QuerySet[Report, Any] = Report.objects.filter(condition, attempt=OuterRef("attempts__pk")).order_by()
    return Subquery(reports.values("attempt").annotate(count=Count("pk")).values("count"))


def _standing(row: tuple[Any, ...]) -> Standing:
    *of_attempt, ends, others, grace_hours, offer, download, install, soak = row
    timeouts = deadlines.Timeouts(offer, download, install, soak, grace_hours)
    values: Any = (*of_attempt, ends or 0, others or 0, timeouts)
    return Standing(*values)
