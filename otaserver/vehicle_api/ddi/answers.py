"""How DDI answers: hawkBit's JSON with an ETag, exact lengths, and empty bodies where there is nothing to say."""

import functools
import hashlib
import json
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response

from otaserver.errors import OtaError
from otaserver.vehicle_api import problems
from otaserver.vehicle_api.ddi import limits
from otaserver.vehicle_api.ddi.errors import Answer, DdiError, NotAcceptableError, UnreadableError, answer_for

_JSON_TYPES = ("application/hal+json", "application/json")


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


def _understood(error: Exception, request: HttpRequest) -> OtaError:
    if isinstance(error, UnreadablePostError | RequestDataTooBig):
        return UnreadableError("The body could not be read whole.")
    if isinstance(error, SuspiciousOperation):
        return DdiError("The request is malformed.")
    return problems.understood(error, request)


def _media_type(accept: str) -> str:
    """Return what the caller takes of what there is; charset parameters and preferences do not matter."""
    wanted = [part.split(";")[0].strip().lower() for part in accept.split(",") if part.strip()]
    for media_type in wanted:
        if media_type in _JSON_TYPES:
            return media_type
    if not wanted or {"*/*", "application/*"} & set(wanted):
        return _JSON_TYPES[0]
    raise NotAcceptableError(f"{accept} is none of {', '.join(_JSON_TYPES)}.")


endpoint = functools.partial(problems.endpoint, refusal=refused, check=limits.check, understanding=_understood)
