"""What every vehicle-facing view is wrapped in: one time per request, and one form for everything that goes wrong.

Problems are RFC 9457 (`application/problem+json`) with a stable `code`; a client decides by status and code alone
whether to try again later.
"""

import functools
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from otaserver import clock
from otaserver.errors import OtaError
from otaserver.outages import outage
from otaserver.vehicle_api import identity, seen
from otaserver.vehicle_api.errors import (
    BodyIncompleteError,
    BodyTooLargeError,
    MethodError,
    ServerError,
)

logger = logging.getLogger(__name__)
View = Callable[..., HttpResponseBase]
Refusal = Callable[[OtaError], HttpResponse]
Understanding = Callable[[Exception, HttpRequest], OtaError]


def endpoint(
    *methods: str,
    refusal: Refusal | None = None,
    check: Callable[[HttpRequest], None] | None = None,
    understanding: Understanding | None = None,
) -> Callable[[View], View]:
    """Make a vehicle-facing view: these methods only, `at` read once, every refusal and failure a problem.

    `refusal` makes answers in the form of another protocol out of them, and `understanding` a refusal out of a failure;
    `check` may refuse a request before anything else is looked at.
    """
    answer_refusal, understand = refusal or problem, understanding or understood

    def wrap(view: View) -> View:
        @functools.wraps(view)
        def answer(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            at = clock.now()
            refused: OtaError | None = None
            response: HttpResponseBase
            try:
                if check is not None:
                    check(request)
                if request.method not in methods:
                    raise MethodError(f"{request.method} is not {' or '.join(methods)}.", allow=list(methods))
                response = view(request, at=at, **arguments)
            except OtaError as error:
                refused, response = error, answer_refusal(error)
            # The last edge: whatever escapes here would reach a vehicle as a page of HTML, or as a traceback.
            except Exception as error:
                refused = understand(error, request)
                response = answer_refusal(refused)
            identity.note_contact(request)
            seen.note(request, response, refused, tenant=arguments.get("tenant"), at=at)
            return response

        return csrf_exempt(answer)

    return wrap


def problem(error: OtaError) -> HttpResponse:
    """Return the problem that `error` is to a vehicle, with the headers that its status asks for."""
    body = {
        **error.details,
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": error.message,
    }
    response = JsonResponse(body, status=error.status, content_type="application/problem+json")
    response["Cache-Control"] = "no-store"
    if error.status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    if "retry_after_seconds" in error.details:
        response["Retry-After"] = str(error.details["retry_after_seconds"])
    if "allow" in error.details:
        response["Allow"] = ", ".join(error.details["allow"])
    return response


def understood(error: Exception, request: HttpRequest) -> OtaError:
    """Return what a failure is to whoever called; what nobody expected goes to the log."""
    if isinstance(error, UnreadablePostError):
        return BodyIncompleteError("The connection ended before the body did.")
    if isinstance(error, RequestDataTooBig):
        return BodyTooLargeError("The body is larger than any that is read here.")
    logger.error("request failed method=%s path=%s", request.method, request.path, exc_info=error)
    return outage(error) or ServerError("The server failed. What happened is in its log.")
