"""What a proof of what a vehicle runs concerns: asked in one statement, and locked only where something may move.

A manifest that comes with each poll nearly always says what the last one said, and moves nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, F, FilteredRelation, Q, QuerySet, Subquery
from django.db.models.expressions import Combinable

from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.operations import reconciliation, rollbacks, software_changes, workshop
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules.matching import Item
from otaserver.campaigns.rules.reports import EVIDENCE_MOVES
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet.models import Vehicle
from otaserver.prepared import Prepared


class Due(NamedTuple):
    """What a vehicle's next proof has to see to beside its orders, whatever it proves."""

    changes: bool = False
    missed_rollback: bool = False
    workshop_case: bool = False
    disagreement: bool = False


class Concern(NamedTuple):
    """An assignment that the proof may move, as it was before it was locked."""

    assignment_id: int
    state: str
    code: str
    is_partly_proved: bool
    items: Sequence[Item]


@dataclass(frozen=True)
class Outlook:
    """What stands of a vehicle: where its orders are, the stone of an open hop among them, and what is due."""

    concerns: Sequence[Concern]
    stone_id: int | None
    due: Due

    def hop(self) -> Sequence[Item]:
        """Return the packages of the stone that is ordered now; none: the order is no hop."""
        return bundles.contents_of([self.stone_id]).items[self.stone_id] if self.stone_id is not None else []


@dataclass(frozen=True)
class Locked:
    """The assignments that a proof concerns and the vehicle's row, which nobody else moves until the transaction ends.

    `latest`: the vehicle's last attempt, whosever it is.
    """

    assignments: Sequence[Assignment]
    latest: Attempt | None

    @property
    def ordered(self) -> Assignment | None:
        """Return the assignment of the last attempt."""
        wanted = self.latest.assignment_id if self.latest else None
        return next((assignment for assignment in self.assignments if assignment.pk == wanted), None)

    @cached_property
    def contents(self) -> bundles.Contents:
        """What the releases consist of that are concerned, a stone on the way to one among them."""
        releases = {assignment.campaign.release_id for assignment in self.assignments}
        if releases and self.latest is not None and self.latest.stone_id is not None:
            releases.add(self.latest.stone_id)
        return bundles.contents_of(releases)


def outlook(vehicle: Vehicle) -> Outlook:
    """Return what a proof of this vehicle may concern, in one statement that waits for nobody."""
    rows = _OUTLOOK.stored(vehicle=vehicle.pk)
    if not rows:
        return Outlook([], None, Due())
    stone, closed_at, *others = rows[0]
    due = Due(*map(bool, others[: len(Due._fields)]))
    return Outlook(_concerns(rows), stone if closed_at is None else None, due)


def due(vehicle: Vehicle) -> Due:
    """Return what is due as this transaction now has it: what has moved may have left something."""
    (row,) = _STILL_DUE.stored(vehicle=vehicle.pk)
    return Due(*map(bool, row))


def _concerns(rows: Sequence[tuple[Any, ...]]) -> list[Concern]:
    """Return the assignments in these rows, of which each has one for each package of its release."""
    packages, own = len(bundles.ITEM_COLUMNS), len(Concern._fields) - 1
    items: dict[tuple[Any, ...], list[Item]] = {}
    for row in rows:
        concern, values = (
            row[-packages - own : -packages],
            dict(zip(bundles.ITEM_COLUMNS, row[-packages:], strict=True)),
        )
        # Where there is no assignment, and where a release is empty, there is one row without.
        if concern[0] is not None:
            items.setdefault(concern, [])
        if values["package_id"] is not None:
            values["package__hardware_ids"] = json.loads(values["package__hardware_ids"])
            items[concern].append(bundles.item(list(values.values())))
    return [Concern(pk, state, code, bool(partly), found) for (pk, state, code, partly), found in items.items()]


def _outlook(vehicle: int) -> QuerySet[Vehicle, Any]:
    concerned = Q(assignments__state=AssignmentState.SOAKING) | Q(
        assignments__state__in=sorted(EVIDENCE_MOVES), assignments__pk=_ordered_last(vehicle)
    )
    rows = Vehicle.objects.filter(pk=vehicle).annotate(
        concerned=FilteredRelation("assignments", condition=concerned), latest=_latest()
    )
    return rows.order_by("concerned__pk").values_list(
        "latest__stone_id",
        "latest__closed_at",
        *_due(vehicle),
        *(f"concerned__{name}" for name in ("pk", "state", "code", "is_partly_proved")),
        *(f"concerned__campaign__release__items__{column}" for column in bundles.ITEM_COLUMNS),
    )


def _still_due(vehicle: int) -> QuerySet[Vehicle, Any]:
    return Vehicle.objects.filter(pk=vehicle).values_list(*_due(vehicle))


_OUTLOOK = Prepared(_outlook, numbers=("vehicle",))
_STILL_DUE = Prepared(_still_due, numbers=("vehicle",))


def lock(vehicle: Vehicle, *, reported: UUID | None = None) -> Locked:
    """Lock what a proof of this vehicle concerns: its latest order, what soaks and the reported attempt's assignment,
    and then its own row.

    In the order in which offers lock; what is read afterwards is as they leave it.
    """
    rows = _spoken_of(vehicle, Q(pk=reported) if reported is not None else None)
    assignments = list(rows.select_for_update(of=("self",), no_key=True).select_related("campaign").order_by("pk"))
    locked = Vehicle.objects.select_for_update(of=("self",), no_key=True).annotate(latest=_latest())
    fields = ("pk", "assignment_id", "vehicle_id", "number", "stone_id", "packages", "opened_at", "closed_at")
    # Its own key among them: the row of a model of which no column is asked for would not be locked.
    _, *values = locked.values_list("pk", *(f"latest__{name}" for name in fields)).get(pk=vehicle.pk)
    attempt = Attempt(**dict(zip(fields, values, strict=True))) if values[0] is not None else None
    return Locked(assignments, attempt)


def hold(vehicle: Vehicle, *, number: int) -> None:
    """Lock the assignments that `lock` does, before a report on this attempt of the vehicle locks one of them alone."""
    rows = _spoken_of(vehicle, Q(vehicle=vehicle, number=number))
    list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk"))


def _spoken_of(vehicle: Vehicle, attempts: Q | None) -> QuerySet[Assignment, Any]:
    """Return the vehicle's assignments that a proof of it concerns, and those of the attempts that are reported."""
    spoken_of = Q(state=AssignmentState.SOAKING) | Q(pk=_ordered_last(vehicle.pk))
    if attempts is not None:
        spoken_of |= Q(pk__in=Subquery(Attempt.objects.filter(attempts).values("assignment")))
    return Assignment.objects.filter(spoken_of, vehicle=vehicle)


def _latest() -> FilteredRelation:
    return FilteredRelation("attempts", condition=Q(attempts__number=F("last_attempt_number")))


def _ordered_last(vehicle: int) -> Subquery:
    latest = Attempt.objects.filter(vehicle=vehicle, number=F("vehicle__last_attempt_number"))
    return Subquery(latest.values("assignment")[:1])


def _due(vehicle: int) -> list[Combinable]:
    # Of this vehicle by its key, not of each row: so the database asks each of them once.
    questions = (
        software_changes.has_unrecorded(vehicle),
        rollbacks.may_be_missed(vehicle),
        workshop.has_case(vehicle),
        reconciliation.disagrees(vehicle),
    )
    return [ExpressionWrapper(question, output_field=BooleanField()) for question in questions]
