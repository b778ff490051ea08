"""Around every request: its id, bound to all that is logged meanwhile, and what is counted of it."""

import time
from collections.abc import Callable, Mapping

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from structlog.contextvars import bind_contextvars, clear_contextvars

from otaserver import metrics
from otaserver.request_ids import HEADER, request_id

GetResponse = Callable[[HttpRequest], HttpResponseBase]
COUNTED = "otaserver.counted"
_VEHICLES = "otaserver.vehicle_api."
# What the address of a vehicle's request is for; all others are "other".
_KINDS: Mapping[tuple[str, str], str] = {
    ("uptane", "timestamp"): "poll",
    ("uptane", "manifest"): "report",
    ("uptane", "events"): "report",
    ("uptane", "target"): "download",
    ("uptane", "enrol"): "enrolment",
    ("aktualizr", "metadata"): "poll",
    ("aktualizr", "manifest"): "report",
    ("aktualizr", "events"): "report",
    ("aktualizr", "target"): "download",
    ("aktualizr", "devices"): "enrolment",
    ("ddi", "poll"): "poll",
    ("ddi", "deployment_feedback"): "report",
    ("ddi", "cancellation_feedback"): "report",
    ("ddi", "download"): "download",
    ("mender", "next_v1"): "poll",
    ("mender", "next_v2"): "poll",
    ("mender", "status"): "report",
    ("mender", "auth_requests"): "enrolment",
    ("downloads", "download"): "download",
}


def observe(get_response: GetResponse) -> GetResponse:
    """Give each request its id, taken from the caller where it has one, and count how it was answered."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        request_id = request_id_of(request)
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        began = time.perf_counter()
        try:
            response = get_response(request)
        finally:
            clear_contextvars()
        response[HEADER] = request_id
        _count(request, response.status_code, time.perf_counter() - began)
        return response

    return answer


def request_id_of(request: HttpRequest) -> str:
    """Return the id that a request came with, if it may be one, or a new one."""
    return request_id(request.META.get("HTTP_X_REQUEST_ID"))


def _count(request: HttpRequest, status: int, seconds: float) -> None:
    match = request.resolver_match
    module = getattr(match.func, "__module__", "") if match is not None else ""
    if not module.startswith(_VEHICLES):
        audience = "operators" if request.path.startswith("/api/") else "others"
        metrics.request_seconds.labels(audience).observe(seconds)
        return
    protocol = module.removeprefix(_VEHICLES).partition(".")[0]
    kind = _KINDS.get((protocol, getattr(match.func, "__name__", "")), "other") if match is not None else "other"
    counted = (protocol, kind, outcome_of(status))
    metrics.vehicle_requests.labels(*counted).inc()
    # For the poll front, which counts on when it gives this answer again.
    request.META[COUNTED] = counted
    metrics.request_seconds.labels("vehicles").observe(seconds)


def outcome_of(status: int) -> str:
    """Return how a request ended, as a label."""
    return "failed" if status >= 500 else "refused" if status >= 400 else "ok"
