"""What a proof of what a vehicle runs concerns: asked in one statement, and locked only where something may move.

A manifest that comes with each poll nearly always says what the last one said, and moves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import BooleanField, Exists, ExpressionWrapper, F, FilteredRelation, OuterRef, Q
from django.db.models.expressions import Combinable

from otaserver.campaigns.models import Assignment, Attempt
from otaserver.campaigns.operations import reconciliation, rollbacks, software_changes, workshop
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules.matching import Item
from otaserver.campaigns.rules.reports import EVIDENCE_MOVES
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet.models import Vehicle

_LATEST = Q(attempts__number=F("last_attempt_number"))


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
    rows = list(
        Vehicle.objects.filter(pk=vehicle.pk)
        .annotate(
            concerned=FilteredRelation("assignments", condition=Q(assignments__state__in=sorted(EVIDENCE_MOVES))),
            latest=FilteredRelation("attempts", condition=_LATEST),
        )
        .order_by("concerned__pk")
        .values_list(
            "latest__assignment_id",
            "latest__stone_id",
            "latest__closed_at",
            *_due(),
            "concerned__pk",
            "concerned__state",
            "concerned__code",
            "concerned__is_partly_proved",
            *(f"concerned__campaign__release__items__{column}" for column in bundles.ITEM_COLUMNS),
        )
    )
    if not rows:
        return Outlook([], None, Due())
    latest, stone, closed_at, *others = rows[0]
    return Outlook(_concerns(rows, latest), stone if closed_at is None else None, Due(*others[: len(Due._fields)]))


def _concerns(rows: Sequence[tuple[Any, ...]], latest: int | None) -> list[Concern]:
    """Return the assignments in these rows, of which each has one for each package: what soaks, and the latest."""
    packages, own = len(bundles.ITEM_COLUMNS), len(Concern._fields) - 1
    items: dict[tuple[Any, ...], list[Item]] = {}
    for row in rows:
        concern, values = row[-packages - own : -packages], row[-packages:]
        pk, state, *_ = concern
        if state == AssignmentState.SOAKING or (pk is not None and pk == latest):
            found = items.setdefault(concern, [])
            if values[0] is not None:
                found.append(bundles.item(values))
    return [Concern(pk, state, code, is_partly, found) for (pk, state, code, is_partly), found in items.items()]


def due(vehicle: Vehicle) -> Due:
    """Return what is due as this transaction now has it: what has moved may have left something."""
    return Due(*Vehicle.objects.filter(pk=vehicle.pk).values_list(*_due()).get())


def lock(vehicle: Vehicle, *, reported: UUID | None = None) -> Locked:
    """Lock what a proof of this vehicle concerns: its latest order, what soaks and the reported attempt's assignment,
    and then its own row.

    In the order in which offers lock; what is read afterwards is as they leave it.
    """
    spoken_of = Q(number=OuterRef("vehicle__last_attempt_number")) | Q(pk=reported)
    own = Attempt.objects.filter(spoken_of, assignment=OuterRef("pk"))
    rows = Assignment.objects.filter(Q(state=AssignmentState.SOAKING) | Exists(own), vehicle=vehicle)
    assignments = list(rows.select_for_update(of=("self",), no_key=True).select_related("campaign").order_by("pk"))
    latest = FilteredRelation("attempts", condition=_LATEST)
    locked = Vehicle.objects.select_for_update(of=("self",), no_key=True).annotate(latest=latest)
    fields = ("pk", "assignment_id", "vehicle_id", "number", "stone_id", "packages", "opened_at", "closed_at")
    # Its own key among them: the row of a model of which no column is asked for would not be locked.
    _, *values = locked.values_list("pk", *(f"latest__{name}" for name in fields)).get(pk=vehicle.pk)
    attempt = Attempt(**dict(zip(fields, values, strict=True))) if values[0] is not None else None
    return Locked(assignments, attempt)


def _due() -> list[Combinable]:
    questions = (
        software_changes.has_unrecorded(),
        rollbacks.may_be_missed(),
        workshop.has_case(),
        reconciliation.disagrees(),
    )
    return [ExpressionWrapper(question, output_field=BooleanField()) for question in questions]
