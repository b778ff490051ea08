"""The files of an order: listed, described, and sent, from the storage itself where that serves them."""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import IO

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from firmware_store import blobs, signed_urls
from firmware_store.errors import BlobNotFoundError
from otaserver import clock
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns import queries
from otaserver.campaigns.queries import Delivery, PackageForEcus
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api import downloads
from otaserver.vehicle_api.ddi import answers, callers, documents
from otaserver.vehicle_api.ddi.errors import NotThereError, PreconditionFailedError
from otaserver.vehicle_api.ddi.links import Links
from otaserver.vehicle_api.errors import DownloadNotFoundError

logger = logging.getLogger(__name__)
_MAX_NAME = 78
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


@dataclass(frozen=True)
class _Ordered:
    """One file of one of a vehicle's actions."""

    vehicle: Vehicle
    number: int
    package: PackageForEcus


@answers.endpoint("GET", "HEAD")
def listing(request: HttpRequest, *, tenant: str, controller: str, module: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    links = Links(request, tenant, controller)
    found = _current(vehicle, int(module), at=at) or _installed(vehicle, int(module), at=at)
    if found is None:
        raise NotThereError(f"Module {module} is in no action of this vehicle.")
    return answers.resource(request, [documents.artifact(found.package, links)])


@answers.endpoint("GET", "HEAD")
def md5sum(
    request: HttpRequest, *, tenant: str, controller: str, module: str, filename: str, at: datetime
) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    package = _required(vehicle, int(module), filename, at=at).package
    response = HttpResponse(f"{package.md5}  {package.filename}".encode(), content_type="text/plain")
    response["Content-Disposition"] = _disposition(f"{package.filename}.MD5SUM")
    return response


@answers.endpoint("GET", "HEAD")
def download(
    request: HttpRequest, *, tenant: str, controller: str, module: str, filename: str, at: datetime
) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    ordered = _required(vehicle, int(module), filename, at=at)
    package = ordered.package
    expected = request.headers.get("If-Match")
    if expected is not None and expected.strip() != "*" and _etag(package) not in re.split(r"\s*,\s*", expected):
        raise PreconditionFailedError(f"The file is {_etag(package)}, not {expected[:80]}.")
    elsewhere = downloads.storage_url(package.sha256)
    if elsewhere is not None:
        return HttpResponseRedirect(elsewhere, headers={"Cache-Control": "no-store"})
    try:
        file = blobs.open_blob(package.sha256)
    except BlobNotFoundError as error:
        raise DownloadNotFoundError(f"The bytes of {package.filename} are not here.") from error
    return _described(_answer(request, file, ordered), package)


def _answer(request: HttpRequest, file: IO[bytes], ordered: _Ordered) -> HttpResponseBase:
    length = file.seek(0, os.SEEK_END)
    try:
        wanted = _range(request, ordered.package, length)
    except signed_urls.UnsatisfiableRangeError as refusal:
        file.close()
        if str(refusal) == f"bytes={length}-":
            # A client that has it all asks so, and takes the refusal for "complete".
            _note(ordered)
        response = answers.done(416)
        response["Content-Range"] = f"bytes */{length}"
        return response
    return downloads.content(request, file, wanted, length, send=lambda part: _sent(file, part, length, ordered))


def _range(request: HttpRequest, package: PackageForEcus, length: int) -> slice | None:
    """Return the part that is asked for; None is all of it, also where several parts are (RFC 9110, 14.2).

    Raises:
        UnsatisfiableRangeError: no byte is in it, or, as in hawkBit, it is no range.
    """
    header = request.headers.get("Range")
    if header is None or not _is_same(request.headers.get("If-Range"), package):
        return None
    return signed_urls.parse_range(header.strip(), length, is_strict=True)


def _is_same(validator: str | None, package: PackageForEcus) -> bool:
    """Return whether a condition names this file: by its ETag, or by when it was published."""
    if validator is None or validator.strip() == _etag(package):
        return True
    try:
        return parsedate_to_datetime(validator) == package.published_at.replace(microsecond=0)
    except (TypeError, ValueError):
        return False


def _sent(file: IO[bytes], part: slice, length: int, ordered: _Ordered) -> Iterator[bytes]:
    yield from downloads.blocks(file, part)
    if part.stop == length:
        _note(ordered)


def _note(ordered: _Ordered) -> None:
    # The vehicle has its bytes by now: no trouble here may look like trouble with them.
    try:
        campaigns.record_delivered(ordered.vehicle, number=ordered.number, package=ordered.package.id, at=clock.now())
    except DatabaseError:
        logger.warning("delivery not noted attempt=%s vehicle=%s", ordered.number, ordered.vehicle, exc_info=True)


def _described(response: HttpResponseBase, package: PackageForEcus) -> HttpResponseBase:
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = _etag(package)
    if response.status_code != 416:
        response["Content-Type"] = "application/octet-stream"
        response["Content-Disposition"] = _disposition(package.filename)
        response["Last-Modified"] = format_datetime(package.published_at.replace(microsecond=0), usegmt=True)
        response["X-Content-Type-Options"] = "nosniff"
    return response


def _etag(package: PackageForEcus) -> str:
    return f'"{package.sha1}"'


def _disposition(filename: str) -> str:
    name = filename[:_MAX_NAME]
    if not _TOKEN.match(name):
        plain = "".join(letter if letter.isascii() and letter.isprintable() else "_" for letter in name)
        name = '"{}"'.format(plain.replace("\\", "\\\\").replace('"', '\\"'))
    return f"attachment;filename={name}"


def _required(vehicle: Vehicle, module: int, filename: str, *, at: datetime) -> _Ordered:
    found = _current(vehicle, module, at=at)
    # By equality alone: what stands in the address never names a file.
    if found is None or found.package.filename != filename:
        raise NotThereError(f"Module {module} has no file {filename[:80]!r} in an open action of this vehicle.")
    return found


def _current(vehicle: Vehicle, module: int, *, at: datetime) -> _Ordered | None:
    order = queries.current_order(vehicle, at=at)
    if order is None or order.delivery not in (Delivery.INSTALL, Delivery.DOWNLOAD):
        return None
    return next((_Ordered(vehicle, order.number, package) for package in order.packages if package.id == module), None)


def _installed(vehicle: Vehicle, module: int, *, at: datetime) -> _Ordered | None:
    number = queries.last_success(vehicle)
    if number is None:
        return None
    order = queries.order_numbered(vehicle, number, at=at)
    return next((_Ordered(vehicle, number, package) for package in order.packages if package.id == module), None)
