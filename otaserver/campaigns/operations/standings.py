"""Where the attempts stand that reports speak of, and how much is stored of them: locked and read by one statement,
however many there are.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.expressions import RawSQL

from otaserver.campaigns.models import Assignment, Attempt, Campaign, Report
from otaserver.campaigns.operations import json_rows, report_rows
from otaserver.campaigns.operations.told import Told
from otaserver.campaigns.rules import deadlines
from otaserver.campaigns.states import STOPPABLE_STATES, ReportOutcome, ReportPhase
from otaserver.fleet.models import Vehicle

# As `deadlines.Timeouts` takes them.
_TIMEOUTS = (
    *(f"campaign__{name}_timeout_seconds" for name in ("offer", "download", "install")),
    "campaign__soak_seconds",
    "campaign__grace_hours",
)
_COLUMNS = (
    "pk",
    "state",
    "due_at",
    "offered_at",
    "installing_at",
    "code",
    "message",
    "campaign_id",
    "vehicle_id",
    "vehicle__last_attempt_number",
    "attempts__pk",
    "attempts__number",
    "attempts__stone_id",
    "attempts__outcome",
    "ends",
    "others",
    *_TIMEOUTS,
)
# In the statement's parameters, where the named attempts come.
_NAMED = "the attempts that reports speak of"


@dataclass
class Standing:
    """One attempt with its assignment, which is locked until the transaction ends; it moves as reports move that."""

    assignment_id: int
    state: str
    due_at: datetime | None
    offered_at: datetime | None
    installing_at: datetime | None
    code: str
    message: str
    campaign_id: int
    vehicle_id: int
    last_number: int
    attempt_id: UUID
    number: int
    stone_id: int | None
    attempt_outcome: str
    # How many reports of it were stored when the statement began, which may have waited for the lock since: of its end,
    # and others. None: it has none of this kind.
    ends: int | None
    others: int | None
    timeouts: deadlines.Timeouts
    is_counted_anew: bool = False
    # Ids of what is to be stored of it now, of its end and others, and of what was stored before.
    taken: dict[bool, set[str]] = field(default_factory=lambda: {True: set(), False: set()})
    repeated: set[str] = field(default_factory=set)
    # With all that moving them takes, once something moves.
    attempt: Attempt | None = None
    is_last_number_sure: bool = False

    @property
    def is_over(self) -> bool:
        """Return whether this attempt was a hop that is proved: its success has been told, and moves nothing more."""
        return self.stone_id is not None and self.attempt_outcome == ReportOutcome.SUCCESS

    def takes(self, report_id: str, *, is_end: bool, limit: int) -> bool:
        """Return whether a report may be stored, or was: one that is told again counts once, and is never refused."""
        if report_id in self.repeated or any(report_id in taken for taken in self.taken.values()):
            return True
        if self._kept(is_end) >= limit // 2 and not self.is_counted_anew:
            self._count_anew()
        if self._kept(is_end) >= limit:
            self._set_repeated_apart(report_id)
            if report_id in self.repeated or self._kept(is_end) >= limit:
                return report_id in self.repeated
        self.taken[is_end].add(report_id)
        return True

    def _kept(self, is_end: bool) -> int:
        return ((self.ends if is_end else self.others) or 0) + len(self.taken[is_end])

    def _count_anew(self) -> None:
        """Count what is stored by now: of many at once one may have waited for the lock while others were stored."""
        self.ends, self.others = report_rows.counts(self.attempt_id)
        self.is_counted_anew = True

    def _set_repeated_apart(self, report_id: str) -> None:
        """Look up which of these reports were stored before: that is only asked where a limit is near."""
        named = {report_id}.union(*self.taken.values())
        stored = Report.objects.filter(attempt=self.attempt_id, report_id__in=named)
        self.repeated.update(stored.values_list("report_id", flat=True))
        for taken in self.taken.values():
            taken.difference_update(self.repeated)

    def is_latest(self) -> bool:
        """Return whether no other order has gone to the vehicle since this attempt: only then may it still move."""
        if self.state not in STOPPABLE_STATES and not self.is_last_number_sure:
            # What ended may come to life again while another campaign offers: the vehicle's row decides who was first.
            vehicles = Vehicle.objects.select_for_update(no_key=True)
            self.last_number = vehicles.values_list("last_attempt_number", flat=True).get(pk=self.vehicle_id)
            self.is_last_number_sure = True
        return self.number == self.last_number

    def loaded(self) -> Attempt:
        """Return the attempt with its assignment and that one's campaign: what was read here is known, the rest is read
        when it is asked for."""
        if self.attempt is None:
            campaign = Campaign.part({"id": self.campaign_id, **_patience(self.timeouts)})
            of_both = {"vehicle_id": self.vehicle_id}
            names = ("campaign_id", "state", "due_at", "offered_at", "installing_at", "code", "message")
            known = {name: getattr(self, name) for name in names}
            assignment = Assignment.part({"id": self.assignment_id, **of_both, **known})
            assignment.campaign = campaign
            known = {"number": self.number, "stone_id": self.stone_id, "outcome": self.attempt_outcome}
            self.attempt = Attempt.part({"id": self.attempt_id, "assignment_id": assignment.pk, **of_both, **known})
            self.attempt.assignment = assignment
        return self.attempt


def locked(told: Sequence[Told]) -> list[Standing | None]:
    """Lock the assignments of the attempts that are spoken of, in their order, and return where each stands.

    Reports on one attempt share its standing. None: the vehicle has no such attempt.
    """
    if not told:
        return []
    selection, parameters = _selection()
    with connection.cursor() as cursor:
        cursor.execute(selection, [json_rows.text(map(_row, told)) if one == _NAMED else one for one in parameters])
        standings = [_standing(row) for row in cursor.fetchall()]
    found: dict[tuple[int, UUID | int], Standing] = {}
    for standing in standings:
        found[standing.vehicle_id, standing.attempt_id] = found[standing.vehicle_id, standing.number] = standing
    return [found.get((one.vehicle.pk, one.report.attempt)) for one in told]


@cache
def _selection() -> tuple[str, tuple[Any, ...]]:
    """Return what the ORM makes of it, once: each time anew that takes as long as the database does."""
    rows = Assignment.objects.filter(attempts__pk__in=RawSQL(_named(), [_NAMED]))
    stored = Report.objects.filter(attempt=OuterRef("attempts__pk")).order_by().values("attempt")
    is_end = Q(phase=ReportPhase.FINISHED)
    counted = {
        name: Subquery(some.annotate(count=Count("pk")).values("count"))
        for name, some in (("ends", stored.filter(is_end)), ("others", stored.exclude(is_end)))
    }
    locked = rows.annotate(**counted).select_for_update(of=("self",), no_key=True).order_by("pk").values_list(*_COLUMNS)
    selection, parameters = locked.query.sql_with_params()
    return selection, tuple(parameters)


@cache
def _named() -> str:
    table = json_rows.table({"vehicle": "bigint", "attempt": "uuid", "number": "bigint"})
    return (
        f"SELECT a.id FROM {table} JOIN {Attempt._meta.db_table} a"
        " ON a.vehicle_id = told.vehicle AND (a.id = told.attempt OR a.number = told.number)"
    )


def _row(told: Told) -> dict[str, Any]:
    attempt = told.report.attempt
    named = {"attempt": attempt.hex} if isinstance(attempt, UUID) else {"number": attempt}
    return {"vehicle": told.vehicle.pk, **named}


def _standing(row: tuple[Any, ...]) -> Standing:
    values: Any = (*row[: -len(_TIMEOUTS)], deadlines.Timeouts(*row[-len(_TIMEOUTS) :]))
    standing = Standing(*values)
    standing.attempt_id = json_rows.uuid(standing.attempt_id)
    standing.due_at, standing.offered_at = json_rows.time(standing.due_at), json_rows.time(standing.offered_at)
    standing.installing_at = json_rows.time(standing.installing_at)
    return standing


def _patience(timeouts: deadlines.Timeouts) -> dict[str, Any]:
    names = (name.removeprefix("campaign__") for name in _TIMEOUTS)
    return dict(zip(names, astuple(timeouts), strict=True))
