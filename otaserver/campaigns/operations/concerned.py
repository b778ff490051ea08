"""What a proof of what a vehicle runs concerns: asked in one statement, and locked only where something may move.

A manifest that comes with each poll nearly always says what the last one said, and moves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
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
    release_id: int


@dataclass(frozen=True)
class Outlook:
    """What stands of a vehicle: where its orders are, the stone of an open hop among them, and what is due."""

    concerns: Sequence[Concern]
    stone_id: int | None
    due: Due

    def items(self) -> Mapping[int, Sequence[Item]]:
        """Return the packages of all releases that are concerned, by their rows' ids."""
        return items_for([concern.release_id for concern in self.concerns], self.stone_id)


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

    def items(self) -> Mapping[int, Sequence[Item]]:
        """Return the packages of all releases that are concerned, by their rows' ids."""
        stone = self.latest.stone_id if self.latest else None
        return items_for([assignment.campaign.release_id for assignment in self.assignments], stone)


def items_for(releases: Sequence[int], stone: int | None) -> Mapping[int, Sequence[Item]]:
    """Return the packages of these releases, and of a stone on the way to one, by their rows' ids."""
    return bundles.items_of({*releases, *([] if stone is None else [stone])}) if releases else {}


def outlook(vehicle: Vehicle) -> Outlook:
    """Return what a proof of this vehicle may concern, in one statement that waits for nobody."""
    rows = (
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
            "concerned__campaign__release_id",
        )
    )
    found = list(rows)
    if not found:
        return Outlook([], None, Due())
    latest, stone, closed_at, *others = found[0]
    concerns = [Concern(*row[-len(Concern._fields) :]) for row in found]
    return Outlook(
        [one for one in concerns if one.state == AssignmentState.SOAKING or one.assignment_id == latest is not None],
        stone if closed_at is None else None,
        Due(*others[: len(Due._fields)]),
    )


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
    fields = ("pk", "assignment_id", "vehicle_id", "number", "stone_id", "packages", "closed_at")
    values = locked.values_list(*(f"latest__{name}" for name in fields)).get(pk=vehicle.pk)
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
