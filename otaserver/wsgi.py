"""The WSGI application that granian serves."""

import io
import os
import re
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
# Packages are streamed by their own view, which reads chunks as they come and checks the length that was declared.
_STREAMED = re.compile(r"/api/v1/packages/[^/]+/content\Z")
_TOO_LARGE = (
    b'{"type":"about:blank","title":"Request Entity Too Large","status":413,"code":"request.too_large",'
    b'"detail":"The body exceeds what this server takes without a Content-Length."}'
)


def with_content_length(application: WSGIApplication, *, limit: int) -> WSGIApplication:
    """Return the application with every chunked body read first, up to `limit` bytes, and its length stated.

    Django reads CONTENT_LENGTH and takes a body without it for an empty one; vehicles do send
    `Transfer-Encoding: chunked` (mender-client all of its bodies).
    """

    def measured(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if (
            environ.get("CONTENT_LENGTH")
            or environ["REQUEST_METHOD"] in _BODILESS
            or not environ.get("wsgi.input_terminated")
            or _STREAMED.match(environ["PATH_INFO"])
        ):
            return application(environ, start_response)
        body = environ["wsgi.input"].read(limit + 1)
        if len(body) > limit:
            headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(_TOO_LARGE)))]
            start_response("413 Request Entity Too Large", headers)
            return [_TOO_LARGE]
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)
        return application(environ, start_response)

    return measured


application = with_content_length(get_wsgi_application(), limit=settings.MAX_CHUNKED_BODY_BYTES)
