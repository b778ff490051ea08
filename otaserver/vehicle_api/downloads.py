"""Package bytes by signed address, served by Django: right everywhere, fast nowhere.

Each reader holds a thread, so the embedded server puts `otaserver.embedded.downloads` in front, nginx sends what it is
told to by X-Accel-Redirect, and buckets serve themselves. The answers are the same.
"""

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase

from firmware_store import blobs, signed_urls
from firmware_store.errors import BlobNotFoundError
from otaserver.vehicle_api import identity, problems
from otaserver.vehicle_api.errors import DownloadForbiddenError, DownloadNotFoundError, DownloadRangeError

# nginx would judge these by validators of its own.
_CONDITIONS = ("If-Match", "If-Modified-Since", "If-None-Match", "If-Unmodified-Since")


@problems.endpoint("GET", "HEAD")
def download(request: HttpRequest, *, sha256: str, at: datetime) -> HttpResponseBase:
    expires, signature = request.GET.get("expires", ""), request.GET.get("signature", "")
    if not signed_urls.verify(sha256, expires=expires, signature=signature, secret=settings.URL_SECRET, at=at):
        raise DownloadForbiddenError("The address is not signed by this server, or has expired.")
    elsewhere = storage_url(sha256)
    if elsewhere is not None:
        return HttpResponseRedirect(elsewhere, headers={"Cache-Control": "no-store"})
    try:
        file = blobs.open_blob(sha256)
    except BlobNotFoundError as error:
        raise DownloadNotFoundError(f"The bytes {sha256} are not here.") from error
    length = file.seek(0, os.SEEK_END)
    try:
        wanted = _wanted_range(request, sha256, length)
    except DownloadRangeError as refusal:
        file.close()
        response = problems.problem(refusal)
        response["Content-Range"] = f"bytes */{length}"
        return _described(response, sha256)
    if _may_hand_over(request, wanted):
        file.close()
        return _handed_over(sha256)
    sent = content(request, file, wanted, length, send=lambda part: blocks(file, part))
    return _described(sent, sha256)


def _may_hand_over(request: HttpRequest, wanted: slice | None) -> bool:
    """Return whether nginx, if it is nginx that asks, would answer this request as it is answered here."""
    if not settings.ACCEL_PREFIX or not identity.is_from_trusted_proxy(request):
        return False
    is_understood = wanted is not None or "Range" not in request.headers
    return is_understood and not any(name in request.headers for name in _CONDITIONS)


def _handed_over(sha256: str) -> HttpResponseBase:
    response = _described(HttpResponse(), sha256)
    response["X-Accel-Redirect"] = settings.ACCEL_PREFIX + blobs.blob_path(sha256)
    # nginx says so itself, and would say it twice.
    del response["Accept-Ranges"]
    return response


def storage_url(sha256: str) -> str | None:
    """Return where the storage itself serves the file, if it is one that does: local disks do not."""
    path = blobs.blob_path(sha256)
    try:
        default_storage.path(path)
    except NotImplementedError:
        return default_storage.url(path)
    return None


def _wanted_range(request: HttpRequest, sha256: str, length: int) -> slice | None:
    header = request.headers.get("Range")
    # RFC 9110, 13.1.5: with a validator that is not this file's, the range is not applied.
    if header is None or request.headers.get("If-Range", _etag(sha256)) != _etag(sha256):
        return None
    try:
        return signed_urls.parse_range(header, length)
    except signed_urls.UnsatisfiableRangeError as error:
        raise DownloadRangeError(f"{header} lies outside {length} bytes.", length=length) from error


def content(
    request: HttpRequest,
    file: IO[bytes],
    wanted: slice | None,
    length: int,
    *,
    send: Callable[[slice], Iterator[bytes]],
) -> HttpResponseBase:
    """Return a file of `length` bytes, or the wanted part, as `send` yields it; to HEAD what it would be."""
    part = wanted or slice(0, length)
    response: HttpResponseBase
    if request.method == "HEAD":
        file.close()
        response = HttpResponse()
    else:
        response = StreamingHttpResponse(send(part))
    response["Content-Length"] = str(part.stop - part.start)
    if wanted is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{length}"
    return response


def _described(response: HttpResponseBase, sha256: str) -> HttpResponseBase:
    if response.status_code != 416:
        response["Content-Type"] = "application/octet-stream"
        response["ETag"] = _etag(sha256)
        response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["Accept-Ranges"] = "bytes"
    return response


def _etag(sha256: str) -> str:
    return f'"{sha256}"'


def blocks(file: IO[bytes], part: slice) -> Iterator[bytes]:
    """Yield a part of the file, and close it."""
    with file:
        file.seek(part.start)
        left = part.stop - part.start
        while left and (block := file.read(min(left, blobs.BLOCK_BYTES))):
            left -= len(block)
            yield block
