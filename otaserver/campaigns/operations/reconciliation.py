"""Nothing is ever stuck: assignments, their attempts and what vehicles are directed to must say the same.

They are written together, and every active assignment has a due time. Should they disagree all the same (a restored
backup, a row changed by hand, a bug), a sweep and each vehicle's next manifest bring them together again.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from otaserver.audit import operations as audit
from otaserver.campaigns.models import Assignment, Attempt, Campaign
from otaserver.campaigns.operations import decisions
from otaserver.campaigns.operations.decisions import ENGINE
from otaserver.campaigns.rules.failures import ORDER_LOST
from otaserver.campaigns.states import ACTIVE_STATES, STOPPABLE_STATES, AssignmentState, CampaignState
from otaserver.director import operations as director
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle

# Vehicles that one transaction looks at.
SWEEP_CHUNK = 5000
_ORDERED = ACTIVE_STATES - {AssignmentState.WITHDRAWING}
_OVER = [CampaignState.CANCELLED, CampaignState.COMPLETED]
_SENTENCES = {
    "order_lost": "had an open order that {they} could not see; {they} may try again",
    "attempt_left_open": "had an attempt left open without an order",
    "direction_left": "had directions to an order that no longer stood",
    "waiting_in_vain": "waited in a campaign that is over",
}


def sweep(at: datetime) -> int:
    """Reconcile every vehicle, some thousands in each transaction; return how much was repaired."""
    repaired, last = 0, 0
    while True:
        vehicles = list(Vehicle.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:SWEEP_CHUNK])
        if not vehicles:
            return repaired
        repaired += reconcile(Q(vehicle__gte=vehicles[0], vehicle__lte=vehicles[-1]), at=at)
        last = vehicles[-1]


@transaction.atomic(savepoint=False)
def reconcile(chosen: Q, *, at: datetime) -> int:
    """Make assignments, attempts and directions of the chosen vehicles agree; return how many rows did not.

    `chosen` is a condition on `vehicle`. An installation is never interrupted, and its due time ends it. What is
    repaired is a decision of its campaign; a direction to an attempt that nobody knows is audited with its tenant.
    """
    found: Counter[tuple[int, str]] = Counter()
    _take_back_lost(chosen, found, at=at)
    _close_left_open(chosen, found, at=at)
    _end_waiting_in_vain(chosen, found, at=at)
    _clear_left_directions(chosen, found, at=at)
    campaigns = Campaign.objects.select_related("tenant").in_bulk({campaign for campaign, _ in found if campaign})
    for (pk, kind), number in sorted(found.items()):
        if pk:
            _record(campaigns[pk], kind, number, at=at)
    return found.total()


def disagrees(vehicle: int) -> Q:
    """Return, as a part of a query, whether `reconcile` would find anything of this vehicle (its row's id)."""
    own = Q(vehicle=vehicle)
    return Q(Exists(_lost(own))) | Q(Exists(_left_open(own))) | Q(Exists(_in_vain(own))) | Q(Exists(_left(own)))


def _record(campaign: Campaign, kind: str, number: int, *, at: datetime) -> None:
    they = "it" if number == 1 else "they"
    sentence = f"{decisions.vehicles(number).capitalize()} {_SENTENCES[kind].format(they=they)}."
    drafted = decisions.draft(campaign, "campaign.reconciled", sentence, by=ENGINE, at=at, found=kind, vehicles=number)
    decisions.record(campaign, [drafted])


def _locked(rows: QuerySet[Assignment]) -> list[tuple[int, int, int]]:
    # Rows that another worker holds are left to the next sweep.
    held = rows.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by("pk")
    return list(held.values_list("pk", "vehicle_id", "campaign_id"))


def _lost(chosen: Q) -> QuerySet[Assignment]:
    directed = Direction.objects.filter(vehicle=OuterRef("vehicle"), attempt_id=OuterRef("pk"), content__isnull=False)
    seen = Attempt.objects.filter(Exists(directed), assignment=OuterRef("pk"), closed_at=None)
    return Assignment.objects.filter(chosen, ~Exists(seen), state__in=STOPPABLE_STATES)


def _left_open(chosen: Q) -> QuerySet[Attempt]:
    return Attempt.objects.filter(chosen, closed_at=None).exclude(assignment__state__in=ACTIVE_STATES)


def _in_vain(chosen: Q) -> QuerySet[Assignment]:
    return Assignment.objects.filter(chosen, state=AssignmentState.WAITING, campaign__state__in=_OVER)


def _left(chosen: Q) -> QuerySet[Direction]:
    standing = Attempt.objects.filter(pk=OuterRef("attempt_id"), closed_at=None, assignment__state__in=_ORDERED)
    return Direction.objects.filter(chosen, ~Exists(standing), content__isnull=False)


def _take_back_lost(chosen: Q, found: Counter[tuple[int, str]], *, at: datetime) -> None:
    """Let vehicles wait again whose order is not the one that they are directed to: they would never see it."""
    rows = _locked(_lost(chosen))
    pks = [pk for pk, _, _ in rows]
    Assignment.objects.filter(pk__in=pks).update(
        state=AssignmentState.WAITING, due_at=None, offered_at=None, next_attempt_at=None, code="", message=""
    )
    Attempt.objects.filter(assignment__in=pks, closed_at=None).update(closed_at=at, code=ORDER_LOST)
    director.direct({vehicle: None for _, vehicle, _ in rows}, at=at)
    found.update((campaign, "order_lost") for _, _, campaign in rows)


def _close_left_open(chosen: Q, found: Counter[tuple[int, str]], *, at: datetime) -> None:
    rows = list(_left_open(chosen).values_list("pk", "assignment__campaign_id"))
    Attempt.objects.filter(pk__in=[pk for pk, _ in rows], closed_at=None).update(closed_at=at, code=ORDER_LOST)
    found.update((campaign, "attempt_left_open") for _, campaign in rows)


def _end_waiting_in_vain(chosen: Q, found: Counter[tuple[int, str]], *, at: datetime) -> None:
    rows = _locked(_in_vain(chosen))
    Assignment.objects.filter(pk__in=[pk for pk, _, _ in rows]).update(
        state=AssignmentState.WITHDRAWN, settled_at=at, next_attempt_at=None
    )
    found.update((campaign, "waiting_in_vain") for _, _, campaign in rows)


def _clear_left_directions(chosen: Q, found: Counter[tuple[int, str]], *, at: datetime) -> None:
    """Direct vehicles to nothing whose direction states no order that stands: they might install it."""
    rows = dict(_left(chosen).values_list("vehicle_id", "attempt_id"))
    if not rows:
        return
    director.direct(dict.fromkeys(rows), at=at)
    attempts = Attempt.objects.filter(pk__in=[pk for pk in rows.values() if pk])
    campaigns = dict(attempts.values_list("vehicle_id", "assignment__campaign_id"))
    found.update((campaigns.get(vehicle, 0), "direction_left") for vehicle in rows)
    _audit_unknown([vehicle for vehicle in rows if vehicle not in campaigns], at=at)


def _audit_unknown(vehicles: Sequence[int], *, at: datetime) -> None:
    for vehicle in Vehicle.objects.select_related("tenant").filter(pk__in=vehicles).order_by("pk"):
        audit.record("order.unknown_cleared", vehicle, tenant=vehicle.tenant, by=ENGINE, at=at)
