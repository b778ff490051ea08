"""Every error of the operator API in one form: `application/problem+json` (RFC 9457) with a stable code."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions

from otaserver.errors import OtaError
from otaserver.outages import outage

logger = logging.getLogger(__name__)

_CODES: Mapping[int, str] = {
    400: "request.malformed",
    401: "token.invalid",
    403: "permission.missing",
    404: "resource.not_found",
    405: "request.method",
    406: "request.not_acceptable",
    415: "request.media_type",
    429: "rate.limited",
}


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return a problem; `details` are further members and cannot replace the standard ones."""
    body = {
        **(details or {}),
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JsonResponse(body, status=status, content_type="application/problem+json", headers=headers)


def not_a_list(media_type: str) -> HttpResponse:
    """Return the problem that only lists are written in this form."""
    return problem_response(406, "request.not_acceptable", f"Only lists are answered as {media_type}; this is none.")


def exception_response(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Return the problem that `error` is to the caller, or None for a bug, which Django turns into a 500."""
    if isinstance(error, OtaError):
        return _refusal(error)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.ValidationError):
        fields = field_messages(error.detail)
        return problem_response(
            422, "request.fields_invalid", _sentence(fields), details={"fields": fields}, headers=None
        )
    if isinstance(error, exceptions.APIException):
        return _framework_problem(error)
    refusal = outage(error)
    if refusal is None:
        return None
    logger.error("request failed path=%s", _path(context), exc_info=error)
    return _refusal(refusal)


def field_messages(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Return the framework's nested errors as `{"plan.waves[0].percent": [sentences]}`."""
    found: dict[str, list[str]] = {}
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            where = path if name == "non_field_errors" else _join(path, name)
            found.update(field_messages(inner, where))
    elif isinstance(detail, list) and any(isinstance(item, Mapping | list) for item in detail):
        for index, inner in enumerate(detail):
            found.update(field_messages(inner, f"{path}[{index}]"))
    elif isinstance(detail, list):
        if detail:
            found[path or "body"] = [str(item) for item in detail]
    else:
        found[path or "body"] = [str(detail)]
    return found


def _join(path: str, name: object) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else str(name)


def _sentence(fields: Mapping[str, list[str]]) -> str:
    return " ".join(f"{name}: {' '.join(messages)}" for name, messages in fields.items())


def _path(context: Mapping[str, Any]) -> str:
    request = context.get("request")
    return str(request.path) if request is not None else ""


def _refusal(error: OtaError) -> HttpResponse:
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if "retry_after_seconds" in error.details:
        headers["Retry-After"] = str(error.details["retry_after_seconds"])
    return problem_response(error.status, error.code, error.message, details=error.details, headers=headers)


def _framework_problem(error: exceptions.APIException) -> HttpResponse:
    headers = {}
    wait = getattr(error, "wait", None)
    if wait:
        headers["Retry-After"] = str(int(wait))
    if error.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(
        error.status_code, _CODES.get(error.status_code, "request.invalid"), str(error.detail), headers=headers
    )
