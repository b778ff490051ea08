"""ETag on whatever is read, If-None-Match to spare the reading, If-Match on changes (RFC 9110, 13.1).

A resource without a version of its own has its content's digest for one. A change below it (`/groups/5/block-list`)
starts from the version of the resource (`/groups/5`).
"""

import hashlib
from typing import Any

from django.http import HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.http import parse_etags
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from otaserver.errors import PreconditionError

_READS = frozenset({"GET", "HEAD"})


def tag_response(request: Request, response: HttpResponseBase) -> HttpResponseBase:
    """Give what was read its ETag; where the caller has this very content already, return 304 in its place."""
    if request.method not in _READS or response.status_code != 200 or not isinstance(response, Response):
        return response
    if response.has_header("ETag"):
        # A version of the plan alone, beside which counts move on: it says nothing of what is read.
        return response
    response["ETag"] = content_tag(response.data)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    # Compared weakly (RFC 9110, 13.1.2): a proxy that compresses makes a tag a weak one.
    known = {tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))}
    if not known & {response["ETag"], "*"}:
        return response
    same = HttpResponseNotModified()
    for name in ("ETag", "Cache-Control"):
        same[name] = response[name]
    return same


def content_tag(data: Any) -> str:
    """Return the ETag of what is answered with `data`."""
    return f'"{hashlib.sha256(JSONRenderer().render(data)).hexdigest()[:32]}"'


def refuse_stale(request: Request, wanted: str) -> None:
    """Refuse a change that starts from another version than the current one of what it changes.

    Call it in the transaction of the change, with other changes locked out.

    Raises:
        PreconditionError: it has another version by now, or is nothing that has versions.
    """
    current = _current_tag(request)
    if current is None:
        raise PreconditionError("There is nothing here that a change could start from; send it without If-Match.")
    if wanted.strip() != "*" and current not in parse_etags(wanted):
        raise PreconditionError(
            f"It has the version {current} by now, not {wanted[:100]}; read it again.", etag=current
        )


def _current_tag(request: Request) -> str | None:
    """Return the version of what the request changes: its own address, or the nearest one above it that is read."""
    path = request.path
    while path.count("/") > 2:
        tag = _tag_at(path, request)
        if tag is not None:
            return tag
        path = path.rpartition("/")[0]
    return None


def _tag_at(path: str, request: Request) -> str | None:
    try:
        match = resolve(path)
    except Resolver404:
        return None
    view_class = getattr(match.func, "view_class", None)
    if view_class is None or not hasattr(view_class, "get"):
        return None
    reader = view_class()
    reader.request, reader.args, reader.kwargs, reader.format_kwarg = request, (), match.kwargs, None
    response = reader.get(request, **match.kwargs)
    if response.has_header("ETag"):
        return str(response["ETag"])
    is_page = not isinstance(response, Response) or not isinstance(response.data, dict) or "results" in response.data
    return None if is_page else content_tag(response.data)
