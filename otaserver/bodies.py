"""Request bodies before Django sees them: read whole, their length stated, and slow senders kept from blocking others.

A WSGI thread that waits for a body serves nobody. So at most a few threads of a process wait for bodies at a time;
polls have no body and always find the others. Who stalls keeps a slot until the connection ends: a read from granian
cannot be given up (answering while one is pending hangs the thread). Behind nginx, which collects bodies first, and
gives slow senders up, none of this is ever noticed.
"""

import io
import json
import re
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from otaserver import request_ids

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
# Packages and fleets are streamed by their own views, which read chunks as they come and check their length.
_STREAMED = re.compile(r"/api/v1/(packages/[^/]+/content|imports)\Z")
# Long enough for whoever holds a slot to be done with an ordinary body, short enough to be no wait for a thread.
_PATIENCE_SECONDS = 0.05
_REASONS = {
    413: ("Request Entity Too Large", "request.too_large", "The body exceeds what this server takes."),
    503: ("Service Unavailable", "server.busy", "Too many bodies arrive at this moment."),
}


class Bodies:
    """Wraps an application. `slots` bodies of at most `limit` bytes may arrive at a time.

    Django reads CONTENT_LENGTH and takes a body without it for an empty one; vehicles do send
    `Transfer-Encoding: chunked` (mender-client all of its bodies).
    """

    def __init__(self, application: WSGIApplication, *, limit: int, slots: int) -> None:
        self._application = application
        self._limit = limit
        self._arriving = threading.BoundedSemaphore(slots)
        # A large file takes minutes, and nginx passes it on as it comes: one slot is left for whoever stops a campaign.
        self._streaming = threading.BoundedSemaphore(max(1, slots - 1))

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not _has_body(environ):
            return self._application(environ, start_response)
        is_streamed = bool(_STREAMED.match(environ["PATH_INFO"]))
        if not is_streamed and _announced(environ) > self._limit:
            return _refused(413, environ, start_response, ("Connection", "close"))
        with ExitStack() as held:
            for slots in (self._streaming, self._arriving) if is_streamed else (self._arriving,):
                if not slots.acquire(timeout=_PATIENCE_SECONDS):
                    return _refused(503, environ, start_response, ("Retry-After", "2"))
                held.callback(slots.release)
            if is_streamed:
                return self._application(environ, start_response)
            body: bytes = environ["wsgi.input"].read(_announced(environ) or self._limit + 1)
        if len(body) > self._limit:
            return _refused(413, environ, start_response, ("Connection", "close"))
        # What was announced stays, so that a view notices a body that was cut short.
        environ["CONTENT_LENGTH"] = environ.get("CONTENT_LENGTH") or str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)
        return self._application(environ, start_response)


def _has_body(environ: dict[str, Any]) -> bool:
    if environ.get("CONTENT_LENGTH"):
        return _announced(environ) > 0
    return environ["REQUEST_METHOD"] not in _BODILESS and bool(environ.get("wsgi.input_terminated"))


def _announced(environ: dict[str, Any]) -> int:
    length = environ.get("CONTENT_LENGTH") or ""
    return int(length) if length.isdecimal() else 0


def _refused(
    status: int, environ: dict[str, Any], start_response: StartResponse, *headers: tuple[str, str]
) -> Iterable[bytes]:
    title, code, detail = _REASONS[status]
    problem = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    body = json.dumps(problem).encode()
    stated = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body))), *headers]
    stated.append((request_ids.HEADER, request_ids.request_id(environ.get("HTTP_X_REQUEST_ID"))))
    start_response(f"{status} {title}", stated)
    return [body]
