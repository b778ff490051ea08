"""The way from a package's name in a protocol to where its bytes are."""

from datetime import datetime, timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase

from firmware_store import signed_urls


def to_download(request: HttpRequest, sha256: str, *, at: datetime) -> HttpResponseBase:
    """Send whoever may have these bytes to an address where they are, good for `settings.DOWNLOAD_URL_SECONDS`."""
    expires = int((at + timedelta(seconds=settings.DOWNLOAD_URL_SECONDS)).timestamp())
    path = f"/downloads/{sha256}?{signed_urls.sign(sha256, expires=expires, secret=settings.URL_SECRET)}"
    base = settings.DOWNLOAD_URL.rstrip("/")
    response = HttpResponseRedirect(base + path if base else request.build_absolute_uri(path))
    # The address is a credential, and ends.
    response["Cache-Control"] = "no-store"
    return response
