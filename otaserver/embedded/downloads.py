"""Serves packages by signed address, without Django, so that slow readers hold no thread that a poll needs.

An RSGI application: granian itself sends the file. An address is `/downloads/<sha256>?expires=…&signature=…`; whoever
holds one may read these bytes until it expires, so this process needs no database, only the folder and the secret.
"""

import json
import os
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian.rsgi import Scope

from firmware_store import signed_urls
from otaserver import clock
from otaserver.embedded.errors import CannotServeError

Headers = list[tuple[str, str]]
_PATH = re.compile(r"/downloads/([0-9a-f]{64})\Z")


def make_app() -> Callable[[Scope, HTTPProtocol], Awaitable[None]]:
    """Return the application for the folder OTA_BLOBS and the secret OTA_URL_SECRET of the environment.

    Raises:
        CannotServeError: one of them is missing, or empty: with no secret anybody could sign.
    """
    missing = [name for name in ("OTA_BLOBS", "OTA_URL_SECRET") if not os.environ.get(name)]
    if missing:
        raise CannotServeError(f"Packages are not served without {' and '.join(missing)}.")
    return Downloads(Path(os.environ["OTA_BLOBS"]), os.environ["OTA_URL_SECRET"])


class Downloads:
    def __init__(self, blobs: Path, secret: str) -> None:
        self._blobs = blobs
        self._secret = secret

    async def __call__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        if scope.method not in ("GET", "HEAD"):
            _refuse(protocol, 405, "request.method", f"{scope.method} is not GET or HEAD.", [("allow", "GET, HEAD")])
            return
        if scope.path == "/healthz":
            protocol.response_str(200, [("content-type", "text/plain")], "ok\n")
            return
        found = _PATH.match(scope.path)
        if found is None:
            _refuse(protocol, 404, "resource.not_found", f"There is nothing at {scope.path}.")
        elif not self._is_signed(found[1], scope.query_string):
            _refuse(protocol, 403, "download.forbidden", "The address is not signed by this server, or has expired.")
        else:
            self._send(scope, protocol, found[1])

    def _is_signed(self, sha256: str, query: str) -> bool:
        fields = parse_qs(query)
        expires, signature = fields.get("expires", [""])[0], fields.get("signature", [""])[0]
        return signed_urls.verify(sha256, expires=expires, signature=signature, secret=self._secret, at=clock.now())

    def _send(self, scope: Scope, protocol: HTTPProtocol, sha256: str) -> None:
        file = self._blobs / sha256[:2] / sha256[2:4] / sha256
        try:
            length = file.stat().st_size
        except FileNotFoundError:
            _refuse(protocol, 404, "download.not_found", f"The bytes {sha256} are not here.")
            return
        etag = f'"{sha256}"'
        headers: Headers = [
            ("content-type", "application/octet-stream"),
            ("accept-ranges", "bytes"),
            ("etag", etag),
            ("cache-control", "private, max-age=31536000, immutable"),
        ]
        wanted = scope.headers.get("range")
        # RFC 9110, 13.1.5: with a validator that is not this file's, the range is not applied.
        if wanted is None or scope.headers.get("if-range", etag) != etag:
            wanted = ""
        try:
            part = signed_urls.parse_range(wanted, length)
        except signed_urls.UnsatisfiableRangeError:
            _refuse(
                protocol,
                416,
                "download.range",
                f"{wanted} lies outside {length} bytes.",
                [("content-range", f"bytes */{length}"), ("accept-ranges", "bytes")],
            )
            return
        if part is None:
            headers.append(("content-length", str(length)))
        else:
            headers.append(("content-length", str(part.stop - part.start)))
            headers.append(("content-range", f"bytes {part.start}-{part.stop - 1}/{length}"))
        status = 200 if part is None else 206
        if scope.method == "HEAD":
            protocol.response_empty(status, headers)
        elif part is None:
            protocol.response_file(status, headers, str(file))
        else:
            protocol.response_file_range(status, headers, str(file), part.start, part.stop)


def _refuse(protocol: HTTPProtocol, status: int, code: str, detail: str, headers: Headers | None = None) -> None:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    protocol.response_str(
        status,
        [("content-type", "application/problem+json"), ("cache-control", "no-store"), *(headers or [])],
        json.dumps(body),
    )
