"""Consent by DDI: an order that waits to be confirmed, and agreement to every one to come."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.campaigns import queries
from otaserver.campaigns.queries import Delivery, VehicleOrder
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api.ddi import answers, bodies, callers
from otaserver.vehicle_api.ddi.deployments import described
from otaserver.vehicle_api.ddi.errors import GoneError, NotThereError
from otaserver.vehicle_api.ddi.links import Links
from otaserver.vehicle_api.errors import FieldsInvalidError

BY_VEHICLE = "vehicle"
MAX_INITIATOR = 64
MAX_REMARK = 255


@answers.endpoint("GET", "HEAD")
def overview(request: HttpRequest, *, tenant: str, controller: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at, is_new_welcome=True)
    links = Links(request, tenant, controller)
    found = _auto_confirm(vehicle, links)
    order = campaigns.order_to_carry_out(vehicle, at=at)
    if order is not None and order.delivery == Delivery.ASK:
        found["_links"]["confirmationBase"] = links.to_order("confirmationBase", order)
    return answers.resource(request, found)


@answers.endpoint("POST")
def activate(request: HttpRequest, *, tenant: str, controller: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    body = bodies.read(request, is_optional=True)
    initiator, remark = _text(body, "initiator", MAX_INITIATOR), _text(body, "remark", MAX_REMARK)
    campaigns.give_standing_consent(vehicle, initiator=initiator, remark=remark, at=at)
    return answers.done()


@answers.endpoint("POST")
def deactivate(request: HttpRequest, *, tenant: str, controller: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    campaigns.take_back_standing_consent(vehicle)
    return answers.done()


@answers.endpoint("GET", "HEAD")
def confirmation(request: HttpRequest, *, tenant: str, controller: str, number: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    order = queries.order_numbered(vehicle, int(number), at=at)
    if not (order.is_open and order.delivery == Delivery.ASK):
        raise NotThereError(f"Action {number} does not wait to be confirmed.")
    return described(request, vehicle, order, Links(request, tenant, controller), "confirmation")


@answers.endpoint("POST")
def confirmation_feedback(
    request: HttpRequest, *, tenant: str, controller: str, number: str, at: datetime
) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    body = bodies.read(request)
    is_agreed = bodies.choice(body, "confirmation", ("confirmed", "denied")) == "confirmed"
    bodies.messages(body)
    order = queries.order_numbered(vehicle, int(number), at=at)
    if not order.is_open:
        raise GoneError(f"Action {number} is closed.")
    if order.delivery != Delivery.ASK and (is_agreed or not _may_be_taken_back(order)):
        raise NotThereError(f"Action {number} does not wait to be confirmed.")
    campaigns.confirm_order(vehicle, attempt=order.number, is_agreed=is_agreed, by=BY_VEHICLE, at=at)
    return answers.done()


def _may_be_taken_back(order: VehicleOrder) -> bool:
    """Return whether a confirmed order can still be denied: it was asked for, and is not being installed."""
    return order.delivery != Delivery.WITHDRAW and not order.is_urgent and order.state != AssignmentState.INSTALLING


def _auto_confirm(vehicle: Vehicle, links: Links) -> dict[str, Any]:
    standing = queries.standing_consent(vehicle)
    if standing is None:
        return {
            "autoConfirm": {"active": False, "activatedAt": 0},
            "_links": {"activateAutoConfirm": links.to("confirmationBase", "activateAutoConfirm")},
        }
    told = {"initiator": standing.initiator, "remark": standing.remark}
    given: dict[str, Any] = {"active": True} | {name: text for name, text in told.items() if text}
    given["activatedAt"] = int(standing.given_at.timestamp() * 1000)
    return {
        "autoConfirm": given,
        "_links": {"deactivateAutoConfirm": links.to("confirmationBase", "deactivateAutoConfirm")},
    }


def _text(body: dict[str, Any], name: str, longest: int) -> str:
    found = body.get(name) or ""
    if not isinstance(found, str) or len(found) > longest or not found.isprintable():
        raise FieldsInvalidError(f"{name} is a text of at most {longest} characters.", field=name)
    return found
