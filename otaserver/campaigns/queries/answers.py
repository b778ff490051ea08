"""What owners answered, as far as it counts: the last answer of each, which no sale of the vehicle has ended."""

from collections.abc import Collection
from typing import Any

from django.db.models import OuterRef, QuerySet

from otaserver.campaigns.models import ConsentRecord


def last_answer(assignment: OuterRef) -> QuerySet[ConsentRecord, Any]:
    """Return the answer that counts of one assignment, for a subquery: no row where there is none."""
    return _standing().filter(assignment=assignment).reverse().values("decision")[:1]


def last_answers(assignments: Collection[int]) -> dict[int, str]:
    """Return the answers that count, by assignment (rows' ids)."""
    return dict(_standing().filter(assignment__in=assignments).values_list("assignment_id", "decision"))


def _standing() -> QuerySet[ConsentRecord, Any]:
    return ConsentRecord.objects.filter(ended_at=None).order_by("received_at", "pk")
