"""What a request carries: JSON within a limit, raw bytes as a stream, and the version a change starts from."""

import re
from collections.abc import Mapping
from typing import IO, Any

from django.core.handlers.wsgi import LimitedStream
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiParameter
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from firmware_store.blobs import Readable
from otaserver import storable
from otaserver.errors import TooLargeError
from otaserver.operator_api.errors import (
    HeaderInvalidError,
    LengthRequiredError,
    MalformedError,
    MediaTypeError,
    PreconditionRequiredError,
)

MAX_JSON_BYTES = 4 * 1024 * 1024
# Signed targets of a supplier with thousands of packages, twice, in base64; clients take 8 MiB of one file at most.
MAX_METADATA_BYTES = 24 * 1024 * 1024
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"\Z')
_OFFSET = re.compile(r"[0-9]{1,18}\Z")
IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": '^"[0-9]{1,18}"$'},
    OpenApiParameter.HEADER,
    required=True,
    description='The version that this replaces, like "3"; "0" if there is none.',
)


class JsonParser(BaseParser):
    """JSON as the standard has it, with a size limit: the framework's own parser reads a stream of any length."""

    media_type = "application/json"
    max_bytes = MAX_JSON_BYTES

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        data = stream.read(self.max_bytes + 1)
        if len(data) > self.max_bytes:
            raise TooLargeError(f"The body exceeds {self.max_bytes} bytes.", limit=self.max_bytes)
        try:
            document = storable.parse(data)
            # Texts are for the fields, which name the one that is wrong.
            storable.refuse_unbounded(document)
            return document
        except ValueError as error:
            raise MalformedError(f"The body is not JSON that can be stored: {error}.") from error


class MetadataParser(JsonParser):
    max_bytes = MAX_METADATA_BYTES


class BytesParser(BaseParser):
    """Declares the media type of an upload; the view reads the bytes itself, with `raw_body`."""

    media_type = "application/octet-stream"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        return stream


def raw_body(request: Request) -> Readable:
    """Return the body as a stream that ends where the body ends, whether its length was announced or it is chunked.

    Read from the WSGI server itself: Django takes a body without Content-Length for an empty one.
    """
    if request.content_type.partition(";")[0].strip() != BytesParser.media_type:
        raise MediaTypeError(f"Send the bytes as {BytesParser.media_type}, not as {request.content_type!r}.")
    http_request: HttpRequest = request._request
    environ = http_request.META
    length = environ.get("CONTENT_LENGTH", "")
    source = environ["wsgi.input"]
    if length:
        if not _OFFSET.match(length):
            raise HeaderInvalidError(f"Content-Length is {length!r}, not a number of bytes.")
        return LimitedStream(source, int(length))
    if environ.get("wsgi.input_terminated"):
        readable: Readable = source
        return readable
    if "HTTP_TRANSFER_ENCODING" not in environ:
        return LimitedStream(source, 0)  # RFC 9112, 6.3: a request that says nothing of a body has none
    raise LengthRequiredError("Send Content-Length, or a chunked body.")


def upload_offset(request: Request) -> int:
    """Return the header Upload-Offset: how many bytes of the file come before this body."""
    value = request.headers.get("Upload-Offset", "")
    if not _OFFSET.match(value):
        raise HeaderInvalidError(f"Upload-Offset is {value!r}, not a number of bytes.")
    return int(value)


def expected_version(request: Request) -> int:
    """Return the version in If-Match: the one that the caller's new metadata replaces, 0 if there is none yet."""
    value = request.headers.get("If-Match", "")
    if not value:
        raise PreconditionRequiredError('Name the version that this replaces: If-Match: "3"; "0" if there is none.')
    found = _ETAG.match(value.strip())
    if found is None:
        raise HeaderInvalidError(f'If-Match is {value!r}, not one version like "3".')
    return int(found.group(1))
