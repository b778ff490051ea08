"""What owners answered, as far as it counts: the last answer of each, which no sale of the vehicle has ended."""

from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet

from otaserver.campaigns.models import ConsentRecord


def last_answer(assignment: int) -> str | None:
    """Return the answer that counts, or None: there is none."""
    return _standing([assignment]).values_list("decision", flat=True).last()


def last_answers(assignments: Collection[int]) -> dict[int, str]:
    """Return the answers that count, by assignment (rows' ids)."""
    return dict(_standing(assignments).values_list("assignment_id", "decision"))


def _standing(assignments: Collection[int]) -> QuerySet[ConsentRecord, Any]:
    return ConsentRecord.objects.filter(assignment__in=assignments, ended_at=None).order_by("received_at", "pk")
