"""Offering: the vehicles whose turn it is get an attempt and an order."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Greatest

from otaserver import metrics
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision, Wave
from otaserver.campaigns.operations import precedence, withholding
from otaserver.campaigns.queries import build_order, bundles, schedules
from otaserver.campaigns.queries import precedence as turns
from otaserver.campaigns.rules import matching, pace, stepping, waves
from otaserver.campaigns.rules.windows import Listing
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
# Enrolments are looked at again for so long.
OUTDATED_OVERLAP = timedelta(hours=1)


def rejoin(campaign: Campaign) -> int:
    """Let what was withdrawn by a stop wait again, now that the campaign runs; return how many."""
    withdrawn = campaign.assignments.filter(state=AssignmentState.WITHDRAWN)
    return withdrawn.update(state=AssignmentState.WAITING, settled_at=None, withheld_at=None, code="", message="")


def take_back_outdated(campaign: Campaign, *, at: datetime) -> int:
    """Take orders back from vehicles that enrolled again since they were offered, and return how many.

    The order names ECUs that may be gone: the vehicle waits, and is judged anew on those it has now. An installation is
    not interrupted. Rows that another worker holds are left to the next tick.
    """
    # Since the last tick alone, with time to spare for rows that were held then: not the whole fleet, every time.
    since = min(campaign.advanced_at or campaign.started_at or at, at) - OUTDATED_OVERLAP
    standing = campaign.assignments.filter(
        state__in=STOPPABLE_STATES, vehicle__tenant=campaign.tenant_id, vehicle__enrolled_at__gt=F("offered_at")
    )
    vehicles: dict[int, int] = {}
    # Those too that installed when their vehicle enrolled again, and hold since: they are due to be made anew. Apart,
    # since each is found by an index of its own.
    for outdated in (standing.filter(vehicle__enrolled_at__gte=since), standing.filter(renew_at__lte=at)):
        locked = outdated.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by("pk")
        vehicles |= dict(locked.values_list("pk", "vehicle_id")[:OFFER_CHUNK])
    if vehicles:
        Attempt.objects.filter(assignment__in=vehicles, closed_at=None).update(closed_at=at, code="enrolled_again")
        Assignment.objects.filter(pk__in=vehicles).update(
            state=AssignmentState.WAITING, due_at=None, offered_at=None, code="", message=""
        )
        director.direct(dict.fromkeys(vehicles.values()), at=at)
    return len(vehicles)


@dataclass(frozen=True)
class Offered:
    """What came of offering: whether a full chunk was taken, and what was decided."""

    has_more: bool = False
    decisions: Sequence[Decision] = ()


def offer(campaign: Campaign, *, at: datetime) -> Offered:
    """Offer the release to the next vehicles of the open waves.

    Each is judged again on what it has confirmed by now; one that does not fit any more, or that another campaign has
    taken over, is settled as superseded.
    """
    condition, allowed = schedules.may_be_offered(campaign, at=at), schedules.allowance(campaign, at=at)
    if condition is None or allowed.is_used_up:
        return Offered()
    in_flight = 0
    if campaign.max_in_flight is not None:
        in_flight = campaign.assignments.filter(state__in=IN_FLIGHT_STATES)[: campaign.max_in_flight].count()
    room = waves.room(max_in_flight=campaign.max_in_flight, in_flight=in_flight, chunk=OFFER_CHUNK)
    if allowed.offers is not None:
        room = min(room, allowed.offers)
    rows = _next_in_turn(campaign, room, condition, at=at) if room else []
    if not rows:
        return Offered()
    release = bundles.release_view(campaign.release)
    assignments = dict(rows)
    decided = precedence.settle_overtaken(campaign, among=assignments.values(), at=at)
    if decided:
        assignments = _still_waiting(assignments)
    numbers, floor = _next_numbers(list(assignments))
    fitting: list[tuple[bundles.VehicleView, stepping.Route]] = []
    for view in bundles.vehicle_views(campaign.tenant, list(assignments)):
        route = release.route(view.candidate)
        if route.match.verdict == Verdict.FITS:
            fitting.append((view, route))
        else:
            _supersede(assignments[view.pk], route.match, at=at)
    fitting = withholding.keep_back(campaign, assignments, fitting, at=at)
    chosen = fitting[: pace.fitting([_length(release, route) for _, route in fitting], allowed)]
    if chosen:
        _order(campaign, release, assignments, chosen, numbers, at=at)
        Vehicle.objects.filter(pk__in=[view.pk for view, _ in chosen]).update(
            last_attempt_number=Greatest(F("last_attempt_number"), Value(floor)) + 1
        )
    return Offered(len(rows) == OFFER_CHUNK and len(chosen) == len(fitting), decided)


def _still_waiting(assignments: Mapping[int, int]) -> dict[int, int]:
    waiting = Assignment.objects.filter(pk__in=assignments.values(), state=AssignmentState.WAITING)
    left = set(waiting.values_list("pk", flat=True))
    return {vehicle: pk for vehicle, pk in assignments.items() if pk in left}


def _length(release: bundles.ReleaseView, route: stepping.Route) -> int:
    # A vehicle fetches a package once, however many of its ECUs take it.
    packages = release.chain[route.hop].packages
    return sum(packages[pk].length for pk in {item.package_id for _, item in route.match.packages})


def is_due(at: datetime) -> Q:
    """Return the condition that an assignment is not waiting for its next attempt."""
    return Q(next_attempt_at=None) | Q(next_attempt_at__lte=at)


def _next_in_turn(campaign: Campaign, room: int, condition: Q, *, at: datetime) -> list[tuple[int, int]]:
    # Wave by wave, so that an index has the vehicles in their order: those of later waves are not even looked at.
    waiting = Assignment.objects.filter(wave=OuterRef("pk"), state=AssignmentState.WAITING)
    in_turn = list(campaign.waves.filter(Exists(waiting)).order_by("number"))
    rows: list[tuple[int, int]] = []
    if not in_turn:
        return rows
    # Of each campaign that goes before, it asks whether that one has room: not where nobody waits.
    has_turn = Q(condition, turns.turn(campaign, at=at))
    for wave in in_turn:
        if len(rows) < room:
            rows += _waiting_in(campaign, wave, has_turn)[: room - len(rows)]
    return rows


def _waiting_in(campaign: Campaign, wave: Wave, has_turn: Q) -> QuerySet[Assignment, tuple[int, int]]:
    return (
        campaign.assignments.filter(has_turn, wave=wave)
        .select_for_update(of=("self",), skip_locked=True, no_key=True)
        .order_by("rank", "pk")
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
    numbers: Mapping[int, int],
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
    listings = schedules.Schedules(campaign, at=at).of(vehicles)
    _set_renewals(assignments, listings)
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
            length=_length(release, route),
            opened_at=at,
        )
        attempts.append(attempt)
        orders[view.pk] = _order_of(campaign, hop, attempt, view, listings[view.pk])
    Attempt.objects.bulk_create(attempts)
    director.direct(orders, at=at)
    # What cannot be counted is given all the same.
    transaction.on_commit(lambda: _count(campaign.kind, len(orders)), robust=True)


def _count(kind: str, orders: int) -> None:
    metrics.orders.labels(kind).inc(orders)


def _set_renewals(assignments: dict[int, int], listings: Mapping[int, Listing]) -> None:
    by_time: dict[datetime, list[int]] = {}
    for vehicle, listing in listings.items():
        if listing.renew_at is not None:
            by_time.setdefault(listing.renew_at, []).append(assignments[vehicle])
    Assignment.objects.filter(pk__in=[assignments[vehicle] for vehicle in listings]).exclude(renew_at=None).update(
        renew_at=None
    )
    for renew_at, pks in by_time.items():
        Assignment.objects.filter(pk__in=pks).update(renew_at=renew_at)


def _next_numbers(vehicles: Collection[int]) -> tuple[dict[int, int], int]:
    """Lock vehicles; return the number of each one's next attempt, and what all numbers of the tenant lie above.

    Before they are read: whoever replaces ECUs locks the vehicle too, and an order for ECUs that are gone is refused.
    """
    locked = Vehicle.objects.filter(pk__in=vehicles).select_for_update(of=("self",), no_key=True).order_by("pk")
    rows = list(locked.values_list("pk", "last_attempt_number", "tenant__version_floor"))
    floor = max((floor for _, _, floor in rows), default=0)
    return {pk: max(last, floor) + 1 for pk, last, _ in rows}, floor


def _order_of(
    campaign: Campaign, release: bundles.ReleaseView, attempt: Attempt, view: bundles.VehicleView, listing: Listing
) -> Order:
    return build_order(
        campaign,
        release,
        attempt_id=attempt.pk,
        number=attempt.number,
        packages=attempt.packages,
        hardware={computer.serial: computer.hardware_id for computer in view.candidate.computers},
        windows=listing.intervals,
    )
