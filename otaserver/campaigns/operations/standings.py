"""Where the attempts stand that reports speak of: locked and read by one statement, however many there are."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models.expressions import RawSQL

from otaserver.campaigns.models import Assignment, Attempt, Campaign
from otaserver.campaigns.operations import json_rows
from otaserver.campaigns.operations.told import Told
from otaserver.campaigns.rules import deadlines
from otaserver.campaigns.states import STOPPABLE_STATES, ReportOutcome
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
    "attempts__opened_at",
    *_TIMEOUTS,
)


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
    opened_at: datetime | None
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
        is_order = self.state in STOPPABLE_STATES and self.offered_at == self.opened_at
        if not (is_order or self.is_last_number_sure):
            # What ended may come to life again while another campaign offers: the vehicle's row decides who was first.
            # What stands may have been ordered while this waited for the lock, in another attempt than that was read.
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
    with connection.cursor() as cursor:
        cursor.execute(_selection(), [json_rows.text(map(_row, told))])
        standings = [_standing(row) for row in cursor.fetchall()]
    found: dict[tuple[int, UUID | int], Standing] = {}
    for standing in standings:
        found[standing.vehicle_id, standing.attempt_id] = found[standing.vehicle_id, standing.number] = standing
    return [found.get((one.vehicle.pk, one.report.attempt)) for one in told]


@cache
def _selection() -> str:
    """Return what the ORM makes of it, once: each time anew that takes as long as the database does."""
    rows = Assignment.objects.filter(attempts__pk__in=RawSQL(_named(), [""]))
    locked = rows.select_for_update(of=("self",), no_key=True).order_by("pk").values_list(*_COLUMNS)
    # Its one parameter is the named attempts.
    selection, _ = locked.query.sql_with_params()
    return selection


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
    standing.opened_at = json_rows.time(standing.opened_at)
    return standing


def _patience(timeouts: deadlines.Timeouts) -> dict[str, Any]:
    names = (name.removeprefix("campaign__") for name in _TIMEOUTS)
    return dict(zip(names, astuple(timeouts), strict=True))
