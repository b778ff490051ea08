"""An order, what a vehicle says of it, its withdrawal, and what was installed before."""

from datetime import datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.campaigns import queries
from otaserver.campaigns.operations import VehicleReport
from otaserver.campaigns.queries import Delivery, VehicleOrder
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api.ddi import answers, bodies, callers, documents, feedback
from otaserver.vehicle_api.ddi.errors import GoneError, NotCancelableError, NotThereError
from otaserver.vehicle_api.ddi.links import Links
from otaserver.vehicle_api.errors import FieldsInvalidError

MAX_HISTORY = 100
_ENDS = (ReportOutcome.SUCCESS, ReportOutcome.FAILURE)
_CARRIED_OUT = (Delivery.INSTALL, Delivery.DOWNLOAD)


@answers.endpoint("GET", "HEAD")
def deployment(request: HttpRequest, *, tenant: str, controller: str, number: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    order = queries.order_numbered(vehicle, int(number), at=at)
    if order.delivery not in _CARRIED_OUT if order.is_open else order.outcome not in _ENDS:
        raise NotThereError(f"Action {number} is not to be carried out.")
    return described(request, vehicle, order, Links(request, tenant, controller), "deployment")


@answers.endpoint("POST")
def deployment_feedback(
    request: HttpRequest, *, tenant: str, controller: str, number: str, at: datetime
) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    said = feedback.read(request)
    order = queries.order_numbered(vehicle, int(number), at=at)
    _refuse_closed(order)
    if order.is_open and order.delivery == Delivery.ASK:
        raise NotThereError(f"Action {number} waits to be confirmed.")
    campaigns.record_word(vehicle, said.report(order.number), at=at)
    return answers.done()


@answers.endpoint("GET", "HEAD")
def cancellation(request: HttpRequest, *, tenant: str, controller: str, number: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    order = queries.order_numbered(vehicle, int(number), at=at)
    is_canceled = not order.is_open and order.outcome not in _ENDS
    if not is_canceled and not (order.is_open and order.delivery == Delivery.WITHDRAW):
        raise NotThereError(f"Action {number} is not being taken back.")
    return answers.resource(request, {"id": str(order.number), "cancelAction": {"stopId": str(order.number)}})


@answers.endpoint("POST")
def cancellation_feedback(
    request: HttpRequest, *, tenant: str, controller: str, number: str, at: datetime
) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    said = feedback.read(request)
    order = queries.order_numbered(vehicle, int(number), at=at)
    _refuse_closed(order)
    if not order.is_open or order.delivery != Delivery.WITHDRAW:
        raise NotCancelableError(f"Action {number} is not being taken back.")
    campaigns.record_report(vehicle, _of_cancellation(said, order.number), can_prove=True, at=at)
    return answers.done()


@answers.endpoint("GET", "HEAD")
def installed(request: HttpRequest, *, tenant: str, controller: str, number: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    order = queries.order_numbered(vehicle, int(number), at=at)
    if order.is_open or order.outcome not in _ENDS:
        raise NotThereError(f"Action {number} has not ended.")
    return described(request, vehicle, order, Links(request, tenant, controller), "deployment")


@answers.endpoint("PUT")
def declare_installed(request: HttpRequest, *, tenant: str, controller: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    body = bodies.read(request)
    name, version = body.get("name"), body.get("version")
    if not (isinstance(name, str) and isinstance(version, str)):
        raise FieldsInvalidError("name and version are texts.", field="name")
    is_new = campaigns.record_installed_release(vehicle, name=name, version=version, at=at)
    return answers.done(201 if is_new else 200)


def described(request: HttpRequest, vehicle: Vehicle, order: VehicleOrder, links: Links, root: str) -> HttpResponseBase:
    """Return an order under this root, with as much of its history as was asked for."""
    limit = _history_limit(request.GET.get("actionHistory", "0"))
    lines = queries.messages_of(vehicle, order.number, limit=limit) if limit else []
    content = {"id": str(order.number), root: documents.deployment(order, links)}
    return answers.resource(request, content | documents.history(order, lines))


def _history_limit(text: str) -> int:
    try:
        wanted = int(text)
    except ValueError as error:
        raise FieldsInvalidError("actionHistory is a number.", field="actionHistory") from error
    return wanted if 0 <= wanted < MAX_HISTORY else MAX_HISTORY


def _refuse_closed(order: VehicleOrder) -> None:
    """Refuse feedback on what is over: the vehicle has said how it ended, or has another order since.

    What the server alone gave up (it was silent for too long) is still heard: what the vehicle did counts.
    """
    if order.has_ended or not (order.is_open or order.is_latest):
        raise GoneError(f"Action {order.number} is closed.")


def _of_cancellation(said: feedback.Feedback, number: int) -> VehicleReport:
    if said.execution == "closed" and said.finished != "failure":
        return said.say(number, ReportPhase.FINISHED, ReportOutcome.REFUSED, feedback.WITHDRAWN_CODE)
    if said.execution in ("closed", "rejected"):
        # It cannot stop any more: it installs.
        return said.say(number, ReportPhase.INSTALLING)
    return said.say(number, ReportPhase.DOWNLOADING)
