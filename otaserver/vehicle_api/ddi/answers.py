"""How DDI answers: hawkBit's JSON with an ETag, exact lengths, and empty bodies where there is nothing to say."""

import functools
import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.csrf import csrf_exempt

from otaserver import clock
from otaserver.errors import OtaError
from otaserver.outages import outage
from otaserver.vehicle_api.ddi import limits
from otaserver.vehicle_api.ddi.errors import UNREADABLE, Answer, MethodNotAllowedError, NotAcceptableError, answer_for
from otaserver.vehicle_api.errors import ServerError

logger = logging.getLogger(__name__)
View = Callable[..., HttpResponseBase]
_JSON_TYPES = ("application/hal+json", "application/json")


def endpoint(*methods: str) -> Callable[[View], View]:
    """Make a DDI view: these methods only, `at` read once, and every refusal and failure in hawkBit's form."""

    def wrap(view: View) -> View:
        @functools.wraps(view)
        def answer(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            try:
                limits.check(request)
                if request.method not in methods:
                    raise MethodNotAllowedError(f"{request.method} is not {' or '.join(methods)}.", allow=methods)
                return view(request, at=clock.now(), **arguments)
            except OtaError as refusal:
                return refused(refusal)
            # The last edge: whatever escapes here would reach a vehicle as a page of HTML.
            except Exception as error:
                return _failed(error, request)

        return csrf_exempt(answer)

    return wrap


def resource(request: HttpRequest, content: Any) -> HttpResponseBase:
    """Return a document as compact JSON, or 304 where If-None-Match names it.

    hawkBit's ETag is the MD5 of the body after a zero. Zephyr needs an exact Content-Length, and compares it.
    """
    media_type = _media_type(request.headers.get("Accept", ""))
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    etag = f'"0{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    response = HttpResponse(body, content_type=media_type)
    response["ETag"] = etag
    response["Content-Length"] = str(len(body))
    response["Cache-Control"] = "no-cache, private"
    found: HttpResponseBase | None = get_conditional_response(request, etag=etag, response=response)
    return found or response


def done(status: int = 200) -> HttpResponse:
    """Return that it is done. Exactly 200 for all but one: two of the clients take nothing else for success."""
    response = HttpResponse(status=status)
    del response["Content-Type"]
    response["Content-Length"] = "0"
    return response


def refused(error: OtaError) -> HttpResponse:
    """Return a refusal in hawkBit's form."""
    found = answer_for(error)
    response = _body(found, error.message) if found.error else done(found.status)
    response["Cache-Control"] = "no-store"
    if "allow" in error.details:
        response["Allow"] = ", ".join(error.details["allow"])
    if "retry_after_seconds" in error.details:
        response["Retry-After"] = str(error.details["retry_after_seconds"])
    return response


def _body(found: Answer, message: str) -> HttpResponse:
    content = {"exceptionClass": found.exception, "errorCode": found.error, "message": message}
    return HttpResponse(json.dumps(content).encode(), status=found.status, content_type="application/json")


def _failed(error: Exception, request: HttpRequest) -> HttpResponse:
    if isinstance(error, UnreadablePostError | RequestDataTooBig):
        return _body(UNREADABLE, "The body could not be read whole.")
    if isinstance(error, SuspiciousOperation):
        return done(400)
    logger.error("request failed method=%s path=%s", request.method, request.path, exc_info=error)
    return refused(outage(error) or ServerError("The server failed. What happened is in its log."))


def _media_type(accept: str) -> str:
    """Return what the caller takes of what there is; charset parameters and preferences do not matter."""
    wanted = [part.split(";")[0].strip().lower() for part in accept.split(",") if part.strip()]
    for media_type in wanted:
        if media_type in _JSON_TYPES:
            return media_type
    if not wanted or {"*/*", "application/*"} & set(wanted):
        return _JSON_TYPES[0]
    raise NotAcceptableError(f"{accept} is none of {', '.join(_JSON_TYPES)}.")
