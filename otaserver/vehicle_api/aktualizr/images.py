"""The Image repository's part: metadata under unversioned names, and packages for whoever is told to install them."""

from datetime import datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from firmware_store import queries as store_queries
from firmware_store.states import Profile, Repository
from otaserver.director import queries as director_queries
from otaserver.vehicle_api import identity, problems, public, redirects
from otaserver.vehicle_api.errors import DownloadForbiddenError


@problems.endpoint("GET", "HEAD")
def metadata(
    request: HttpRequest, *, tenant: str, role: str, at: datetime, version: str | None = None
) -> HttpResponseBase:
    return public.role_metadata(
        request, tenant, Repository.IMAGE, role, profile=Profile.AKTUALIZR, version=version, at=at
    )


@problems.endpoint("GET", "HEAD")
def target(request: HttpRequest, *, tenant: str, name: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    package = store_queries.published_package(vehicle.tenant, name)
    # It installs what it has downloaded, and asks nobody in between: this is the last moment to stop it.
    if not director_queries.is_stated(vehicle, name, profile=Profile.AKTUALIZR, at=at):
        raise DownloadForbiddenError(f"{vehicle} is not told to install {name} now.", target=name)
    return redirects.to_download(request, package.sha256, at=at)
