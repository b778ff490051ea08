"""Idempotency-Key on every POST (draft-ietf-httpapi-idempotency-key-header): done once, answered the same again.

What is done and its answer are committed together, so that no crash can leave one without the other. Where that cannot
be (a file that is taken in, minutes of hashing), the answer is written right after.
"""

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from firmware_store.blobs import Readable
from otaserver import clock
from otaserver.operator_api.access import Caller
from otaserver.operator_api.bodies import BytesParser, raw_body
from otaserver.operator_api.errors import HeaderInvalidError
from otaserver.tenants import kept_answers
from otaserver.tenants.answer_models import KEY_MAX_LENGTH
from otaserver.tenants.kept_answers import Answer

HEADER = "Idempotency-Key"
_KEPT_HEADERS = ("ETag", "Location", "Upload-Offset")
_BLOCK_BYTES = 256 * 1024
# Who may not act, or acts too often, has not been refused what was asked for: the same request may pass later.
_NOT_KEPT = frozenset({401, 403, 429})


class Doer(Protocol):
    """What this needs of a view."""

    is_one_transaction: bool
    shows_secret: bool
    parser_classes: Any

    @property
    def caller(self) -> Caller: ...

    def handle_exception(self, exc: Exception) -> Response: ...


class _Hashed:
    """A body that is hashed as it is read."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self.hash.update(data)
        return data

    def readline(self, size: int = -1, /) -> bytes:
        """Django wants to be able to; lines are nothing to a body of bytes."""
        raise io.UnsupportedOperation("readline")


def key_of(request: Request) -> str | None:
    """Return the key that the request carries; None: it carries none, and is done as often as it is sent."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not key.strip() or len(key) > KEY_MAX_LENGTH or not key.isprintable():
        raise HeaderInvalidError(f"{HEADER} is 1 to {KEY_MAX_LENGTH} printable characters.")
    return key


def done_once(view: Doer, request: Request, key: str, do: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Do what the request asks for, unless that was done under this key before; return the answer of that time.

    Raises:
        RequestInFlightError: the first one is not answered yet.
        RequestDiffersError: the key was used for another request.
        SecretNotKeptError: what it answered is kept nowhere.
    """
    caller, is_streamed = view.caller, BytesParser in view.parser_classes
    digest = "" if is_streamed else _digest(request, json.dumps(request.data, sort_keys=True).encode())
    row = kept_answers.begin(caller.tenant, caller.actor, key, request_sha256=digest, at=clock.now())
    if row.status is not None:
        digest = digest or _digest(request, _drained(raw_body(request)))
        return _again(kept_answers.replayed(row, request_sha256=digest))
    stream = _watched(request) if is_streamed else None

    def fingerprint() -> str:
        return digest if stream is None else _digest(request, stream.hash.digest())

    return _first(view, row, do, fingerprint)


def _first(
    view: Doer, row: Any, do: Callable[[], HttpResponseBase], fingerprint: Callable[[], str]
) -> HttpResponseBase:
    together: AbstractContextManager[Any] = transaction.atomic() if view.is_one_transaction else nullcontext()
    try:
        with together:
            response = do()
            kept_answers.keep(row, _answer(response), request_sha256=fingerprint(), is_secret=view.shows_secret)
        return response
    except Exception as error:
        try:
            refusal = view.handle_exception(error)
        except Exception:
            kept_answers.forget(row)
            raise
        # Of a stream that was refused nobody knows the rest, so that it could not be told from another.
        if refusal.status_code >= 500 or refusal.status_code in _NOT_KEPT or BytesParser in view.parser_classes:
            kept_answers.forget(row)
        else:
            kept_answers.keep(row, _answer(refusal), request_sha256=fingerprint(), is_secret=False)
        return refusal


def _answer(response: HttpResponseBase) -> Answer:
    headers = {name: response[name] for name in _KEPT_HEADERS if response.has_header(name)}
    if isinstance(response, Response):
        return Answer(response.status_code, "application/json", JSONRenderer().render(response.data), headers)
    assert isinstance(response, HttpResponse)
    return Answer(response.status_code, response.get("Content-Type", ""), response.content, headers)


def _again(answer: Answer) -> HttpResponse:
    headers = answer.headers | {"Idempotency-Replayed": "true"}
    return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type, headers=headers)


def _digest(request: Request, body: bytes) -> str:
    line = f"{request.method} {request.get_full_path()}\n".encode()
    return hashlib.sha256(line + hashlib.sha256(body).digest()).hexdigest()


def _watched(request: Request) -> _Hashed:
    http_request: HttpRequest = request._request
    watched = _Hashed(http_request.META["wsgi.input"])
    http_request.META["wsgi.input"] = watched
    return watched


def _drained(stream: Readable) -> bytes:
    """Return the digest of a whole body."""
    found = hashlib.sha256()
    while block := stream.read(_BLOCK_BYTES):
        found.update(block)
    return found.digest()
