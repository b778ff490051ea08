"""The front itself: look, answer or pass on, and keep what Django answers to what it passed on."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from django.conf import settings
from django.db import close_old_connections

from otaserver import clock, proxies, request_ids
from otaserver.errors import OtaError
from otaserver.fleet.operations.vehicles import CONTACT_RESOLUTION
from otaserver.front.answers import Answers, Kept, Pattern, content_of, head_of
from otaserver.front.changes import Changes
from otaserver.front.polls import Polls
from otaserver.front.requests import compared, is_for_all
from otaserver.vehicle_api import identity, idle
from otaserver.vehicle_api.ddi import limits
from otaserver.vehicle_api.recognised import Recognised

logger = logging.getLogger(__name__)

READ_SECONDS = 0.25
WRITE_SECONDS = 0.5
SWEEP_SECONDS = 300.0
_SWEPT_AT_ONCE = 1000
_CONTACT_SECONDS = CONTACT_RESOLUTION.total_seconds()
_GOOD = ("200", "204", "304", "404")
_Headers = list[tuple[str, str]]


class Front:
    """Wraps an application. Without `background` whoever holds it reads the changes and writes the contacts."""

    def __init__(self, application: WSGIApplication, *, max_bytes: int, background: bool = True) -> None:
        self.changes = Changes()
        self.answers = Answers(max_bytes=max_bytes)
        self.polls = Polls()
        # For what Django answers: who called a moment ago.
        self.recognised = Recognised(self.changes)
        self._application = application
        # Looked up once: settings are an object that computes whatever is asked of it.
        self._trusted = tuple(settings.TRUSTED_PROXIES)
        self._is_started = not background
        self._starting = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not self._is_started:
            self._start()
        asked = compared(environ, is_trusted=proxies.is_one_of(environ.get("REMOTE_ADDR", ""), self._trusted))
        if asked is None or not self.changes.is_current():
            return self._pass_on(environ, start_response)
        key, rest = asked
        entry = self.answers.get(key)
        found = None if entry is None else self._answer(key, rest, entry, environ, start_response)
        return self._learn(key, rest, environ, start_response) if found is None else found

    def _answer(
        self, key: bytes, rest: int, entry: bytes, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes] | None:
        """Answer as before; None: not to this request, no longer, or not to this address now."""
        contact_at, owner, same, until, since, number = head_of(entry)
        pattern = self.answers.patterns[number]
        now = clock.timestamp()
        if rest != same or now >= until or self.changes.has_changed(owner, pattern.tenant, since):
            return None
        if pattern.counted[0] == "ddi" and not _is_admitted(environ):
            return None
        if owner > 0 and now - contact_at >= _CONTACT_SECONDS:
            self.polls.note_contact(owner, now)
            # Rounded up, so that it is due here no sooner than there.
            self.answers.note_contact(key, entry, int(now) + 1)
        self.polls.count(pattern.counted)
        own, _, body = content_of(entry).partition(b"\n")
        headers: _Headers = [*pattern.headers]
        if pattern.etag:
            headers.append(("ETag", environ["HTTP_IF_NONE_MATCH"] if pattern.etag == "same" else own.decode()))
        headers.append((request_ids.HEADER, request_ids.request_id(environ.get("HTTP_X_REQUEST_ID"))))
        start_response(pattern.status, headers)
        return [body]

    def _learn(self, key: bytes, rest: int, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Have Django answer, and keep that. What changes from here on makes it worthless at once."""
        count = self.changes.count
        said: list[tuple[str, _Headers]] = []

        def started(status: str, headers: _Headers, *more: Any) -> Callable[[bytes], object]:
            said.append((status, headers))
            return start_response(status, headers, *more)

        response = self._pass_on(environ, started)
        found = idle.marked(environ)
        # A vehicle's own answer is never kept where nobody looks who asks.
        if found is not None and (found.owner < 0) != is_for_all(environ["PATH_INFO"]):
            return response
        if found is not None and said and said[-1][0][:3] in _GOOD:
            pattern, content = _split(found.tenant, environ, *said[-1], b"".join(response))
            contact_at = int(found.contact_at.timestamp()) + 1 if found.contact_at else 0
            number = self.answers.number_of(pattern)
            kept = Kept(contact_at, found.owner, rest, found.until.timestamp(), count, number, content)
            self.answers.keep(key, kept)
        return response

    def _pass_on(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ[identity.RECOGNISED] = self.recognised
        return self._application(environ, start_response)

    def _start(self) -> None:
        # With the first request, not with the import: by then the process is the one that serves.
        with self._starting:
            if self._is_started:
                return
            for work, seconds in (
                (self.changes.read, READ_SECONDS),
                (self.polls.write, WRITE_SECONDS),
                (self._sweep, SWEEP_SECONDS),
            ):
                threading.Thread(target=_repeat, args=(work, seconds), name="poll front", daemon=True).start()
            self._is_started = True

    def _sweep(self) -> None:
        keys = self.answers.keys()
        for start in range(0, len(keys), _SWEPT_AT_ONCE):
            self.answers.sweep(keys[start : start + _SWEPT_AT_ONCE], now=clock.timestamp())
            # Whoever polls goes first.
            time.sleep(0.001)


def _split(tenant: int, environ: dict[str, Any], status: str, headers: _Headers, body: bytes) -> tuple[Pattern, bytes]:
    """Return what an answer has in common with many others, and what is its own: its ETag and its body."""
    etag = next((value for name, value in headers if name.lower() == "etag"), "")
    is_same = etag != "" and etag == environ.get("HTTP_IF_NONE_MATCH")
    common = tuple(pair for pair in headers if pair[0].lower() not in ("etag", request_ids.HEADER.lower()))
    pattern = Pattern(tenant, idle.counted(environ), status, common, "same" if is_same else "own" if etag else "")
    own = b"" if is_same else etag.encode()
    return pattern, own + b"\n" + body if own or body else b""


def _is_admitted(environ: dict[str, Any]) -> bool:
    address = proxies.address_behind(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""))
    try:
        limits.check_address(address, is_write=False)
    except OtaError:
        return False
    return True


def _repeat(work: Callable[[], None], seconds: float) -> None:
    """Do it for as long as the process lives. While it fails nothing is kept back: the front sees its age."""
    is_failing = False
    while True:
        try:
            try:
                work()
            finally:
                # This too asks the database, and may fail.
                close_old_connections()
            is_failing = False
        # The last edge of a thread: without it the front would never answer again.
        except Exception:
            if not is_failing:
                logger.exception("poll front: %s", getattr(work, "__qualname__", work))
            is_failing = True
        time.sleep(seconds)
