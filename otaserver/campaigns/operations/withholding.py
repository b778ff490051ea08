"""Orders that the server keeps back itself, for vehicles whose protocol cannot hold them at the install gate."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.queries.answers import last_answers
from otaserver.campaigns.queries.schedules import Schedules
from otaserver.campaigns.rules import capabilities, stepping, withholding
from otaserver.campaigns.rules.capabilities import Capability
from otaserver.campaigns.rules.withholding import LOOK_AGAIN, MISSED_WINDOW, SHUT_WINDOW, Withheld
from otaserver.campaigns.states import AssignmentState, Consent
from otaserver.fleet.models import AttributeValue

# Ticks are never so far apart: for so long others have kept the vehicle from its order.
UNSEEN_AFTER = timedelta(days=1)

Fitting = tuple[bundles.VehicleView, stepping.Route]


def keep_back(
    campaign: Campaign, assignments: Mapping[int, int], fitting: Sequence[Fitting], *, at: datetime
) -> list[Fitting]:
    """Return those that may be given their order now; the others wait on, with the reason on their assignments.

    One whose order is kept back for longer than the campaign waits for any vehicle is given up.
    """
    clients = {view.pk: (view.candidate.protocol, view.client) for view, _ in fitting}
    kept = put_off(campaign, assignments, clients, at=at)
    return [each for each in fitting if each[0].pk not in kept]


def put_off(
    campaign: Campaign, assignments: Mapping[int, int], clients: Mapping[int, tuple[str, str]], *, at: datetime
) -> set[int]:
    """Let those of these vehicles wait on whose order is to be kept back now, and return them; as in `keep_back`.

    `clients`: their protocols, and what their clients call themselves.
    """
    abilities = {vehicle: capabilities.of_client(protocol, client) for vehicle, (protocol, client) in clients.items()}
    unable = {vehicle: able for vehicle, able in abilities.items() if not able.keeps_every_order}
    if not unable:
        return set()
    reasons = _reasons(campaign, unable, assignments, at=at)
    for vehicle, withheld in reasons.items():
        _put_off(campaign, assignments[vehicle], withheld, at=at)
    return set(reasons)


def _reasons(
    campaign: Campaign, abilities: Mapping[int, Capability], assignments: Mapping[int, int], *, at: datetime
) -> dict[int, Withheld]:
    listings = Schedules(campaign, at=at).of(abilities)
    answers = last_answers([assignments[vehicle] for vehicle in abilities])
    attributes = _attributes(abilities)
    found = {
        vehicle: withholding.reason(
            able,
            is_window_open=listings[vehicle].is_open(at),
            needs_consent=campaign.consent != Consent.NONE,
            answer=answers.get(assignments[vehicle]),
            conditions=campaign.preconditions,
            attributes=attributes[vehicle],
        )
        for vehicle, able in abilities.items()
    }
    return {vehicle: withheld for vehicle, withheld in found.items() if withheld is not None}


def _attributes(vehicles: Collection[int]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {vehicle: {} for vehicle in vehicles}
    rows = AttributeValue.objects.filter(vehicle__in=vehicles)
    for vehicle, name, *values in rows.values_list("vehicle_id", "attribute__name", "text", "number", "boolean"):
        found[vehicle][name] = next((value for value in values if value is not None), None)
    return found


def _put_off(campaign: Campaign, assignment: int, withheld: Withheld, *, at: datetime) -> None:
    patience = timedelta(seconds=campaign.offer_timeout_seconds)
    rows = Assignment.objects.filter(pk=assignment, state=AssignmentState.WAITING)
    if withheld == SHUT_WINDOW and rows.filter(code=MISSED_WINDOW.code).exists():
        # What an earlier window came to says more than that none is open now.
        withheld = MISSED_WINDOW
    since = _since(rows, at=at)
    why = {"code": withheld.code, "message": withheld.sentence}
    if since <= at - patience:
        rows.update(state=AssignmentState.LAPSED, settled_at=at, next_attempt_at=None, **why)
    else:
        rows.update(next_attempt_at=at + LOOK_AGAIN, withheld_at=since, **why)


def _since(rows: QuerySet[Assignment], *, at: datetime) -> datetime:
    """Return since when the order is kept back. Not for as long as nobody looked: in a blackout, a pause, a full wave.

    Counted from the wave's opening, who comes into it later, or waits for the end of a freeze, would be given up at the
    first look.
    """
    since, next_look_at = rows.values_list("withheld_at", "next_attempt_at").first() or (None, None)
    if since is None:
        return at
    unseen = at - next_look_at if next_look_at is not None else timedelta()
    return min(since + unseen, at) if unseen > UNSEEN_AFTER else since
