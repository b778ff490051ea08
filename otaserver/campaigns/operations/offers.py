"""Offering: the vehicles whose turn it is get an attempt and an order."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet

from otaserver.campaigns.models import Assignment, Attempt, Campaign
from otaserver.campaigns.queries import build_order, bundles
from otaserver.campaigns.queries import precedence as turns
from otaserver.campaigns.rules import matching, stepping, waves
from otaserver.campaigns.states import (
    IN_FLIGHT_STATES,
    STOPPABLE_STATES,
    AssignmentState,
    Verdict,
)
from otaserver.director import operations as director
from otaserver.director.orders import Order
from otaserver.fleet.models import Vehicle
from otaserver.statemachine import StaleStateError

# How many one transaction offers: SQLite has one writer, and vehicles that report wait for it.
OFFER_CHUNK = 1000


def rejoin(campaign: Campaign) -> int:
    """Let what was withdrawn by a stop wait again, now that the campaign runs; return how many."""
    withdrawn = campaign.assignments.filter(state=AssignmentState.WITHDRAWN)
    return withdrawn.update(state=AssignmentState.WAITING, settled_at=None, code="", message="")


def take_back_outdated(campaign: Campaign, *, at: datetime) -> int:
    """Take orders back from vehicles that enrolled again since they were offered, and return how many.

    The order names ECUs that may be gone: the vehicle waits, and is judged anew on those it has now. An installation is
    not interrupted. Rows that another worker holds are left to the next tick.
    """
    outdated = campaign.assignments.filter(state__in=STOPPABLE_STATES, vehicle__enrolled_at__gt=F("offered_at"))
    locked = outdated.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by("pk")
    vehicles = dict(locked.values_list("pk", "vehicle_id")[:OFFER_CHUNK])
    if vehicles:
        Attempt.objects.filter(assignment__in=vehicles, closed_at=None).update(closed_at=at, code="enrolled_again")
        Assignment.objects.filter(pk__in=vehicles).update(
            state=AssignmentState.WAITING, due_at=None, offered_at=None, code="", message=""
        )
        director.direct(dict.fromkeys(vehicles.values()), at=at)
    return len(vehicles)


def offer(campaign: Campaign, *, at: datetime) -> bool:
    """Offer the release to the next vehicles of the open waves, and return whether a full chunk was taken.

    Each is judged again on what it has confirmed by now; one that does not fit any more is settled as superseded.
    """
    in_flight = 0
    if campaign.max_in_flight is not None:
        in_flight = campaign.assignments.filter(state__in=IN_FLIGHT_STATES).count()
    room = waves.room(max_in_flight=campaign.max_in_flight, in_flight=in_flight, chunk=OFFER_CHUNK)
    rows = list(_next_in_turn(campaign, at=at)[:room])
    if not rows:
        return False
    release = bundles.release_view(campaign.release)
    assignments = dict(rows)
    fitting: list[tuple[bundles.VehicleView, stepping.Route]] = []
    for view in bundles.vehicle_views(campaign.tenant, list(assignments)):
        route = release.route(view.candidate)
        if route.match.verdict == Verdict.FITS:
            fitting.append((view, route))
        else:
            _supersede(assignments[view.pk], route.match, at=at)
    if fitting:
        _order(campaign, release, assignments, fitting, at=at)
    return len(rows) == OFFER_CHUNK


def is_due(at: datetime) -> Q:
    """Return the condition that an assignment is not waiting for its next attempt."""
    return Q(next_attempt_at=None) | Q(next_attempt_at__lte=at)


def _next_in_turn(campaign: Campaign, *, at: datetime) -> QuerySet[Assignment, tuple[int, int]]:
    return (
        campaign.assignments.filter(turns.turn(campaign, at=at))
        .select_for_update(of=("self",), skip_locked=True, no_key=True)
        .order_by("wave__number", "rank", "pk")
        .values_list("vehicle_id", "pk")
    )


def _supersede(assignment_id: int, match: matching.Match, *, at: datetime) -> None:
    Assignment.objects.filter(pk=assignment_id, state=AssignmentState.WAITING).update(
        state=AssignmentState.SUPERSEDED,
        settled_at=at,
        next_attempt_at=None,
        code=match.verdict,
        message=match.detail,
    )


def _order(
    campaign: Campaign,
    release: bundles.ReleaseView,
    assignments: dict[int, int],
    fitting: Sequence[tuple[bundles.VehicleView, stepping.Route]],
    *,
    at: datetime,
) -> None:
    vehicles = [view.pk for view, _ in fitting]
    due_at = at + timedelta(seconds=campaign.offer_timeout_seconds)
    chosen = [assignments[vehicle] for vehicle in vehicles]
    moved = Assignment.objects.filter(pk__in=chosen, state=AssignmentState.WAITING).update(
        state=AssignmentState.OFFERED, offered_at=at, due_at=due_at, next_attempt_at=None, code="", message=""
    )
    if moved != len(chosen):
        raise StaleStateError(f"{len(chosen) - moved} vehicles of {campaign} moved meanwhile.")
    numbers = _next_numbers(vehicles)
    attempts, orders = [], {}
    for view, route in fitting:
        hop = release.chain[route.hop]
        packages = {serial: item.package_id for serial, item in route.match.packages}
        attempt = Attempt(
            pk=uuid.uuid4(),
            assignment_id=assignments[view.pk],
            vehicle_id=view.pk,
            stone=None if hop is release else hop.release,
            number=numbers[view.pk],
            packages=packages,
            opened_at=at,
        )
        attempts.append(attempt)
        orders[view.pk] = _order_of(campaign, hop, attempt, view)
    Attempt.objects.bulk_create(attempts)
    director.direct(orders, at=at)


def _next_numbers(vehicles: Sequence[int]) -> dict[int, int]:
    locked = Vehicle.objects.filter(pk__in=vehicles).select_for_update(no_key=True).order_by("pk")
    numbers = {pk: last + 1 for pk, last in locked.values_list("pk", "last_attempt_number")}
    Vehicle.objects.filter(pk__in=vehicles).update(last_attempt_number=F("last_attempt_number") + 1)
    return numbers


def _order_of(campaign: Campaign, release: bundles.ReleaseView, attempt: Attempt, view: bundles.VehicleView) -> Order:
    return build_order(
        campaign,
        release,
        attempt_id=attempt.pk,
        number=attempt.number,
        packages=attempt.packages,
        hardware={computer.serial: computer.hardware_id for computer in view.candidate.computers},
    )
