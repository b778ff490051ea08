"""The Image repository's part of the protocol: public metadata, and addresses of packages."""

import re
from datetime import datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from firmware_store import queries as store_queries
from firmware_store.errors import PackageNotFoundError
from firmware_store.models import Package
from firmware_store.states import Profile, Repository
from otaserver.fleet.errors import CredentialInvalidError
from otaserver.tenants.models import Tenant
from otaserver.vehicle_api import identity, problems, public, redirects
from otaserver.vehicle_api.errors import TargetNotFoundError

_PREFIXED = re.compile(r"([0-9a-f]{64}|[0-9a-f]{128})\.(.+)\Z")


@problems.endpoint("GET", "HEAD")
def metadata(
    request: HttpRequest, *, tenant: str, role: str, at: datetime, version: str | None = None
) -> HttpResponseBase:
    return public.role_metadata(request, tenant, Repository.IMAGE, role, profile=Profile.TUF, version=version, at=at)


@problems.endpoint("GET", "HEAD")
def target(request: HttpRequest, *, tenant: str, role: str, name: str, at: datetime) -> HttpResponseBase:
    return redirects.to_download(request, _package(_owner(request, tenant, at=at), role, name).sha256, at=at)


def _owner(request: HttpRequest, tenant: str, *, at: datetime) -> Tenant:
    """Return the tenant, where the caller may have its packages: a vehicle of it, or anybody if they are public."""
    try:
        return identity.identify_at(request, tenant, at=at).tenant
    except CredentialInvalidError:
        owner = identity.find_tenant(tenant)
        if not owner.has_public_targets:
            raise
        return owner


def _package(tenant: Tenant, role: str, name: str) -> Package:
    """Return the package for `<digest>.<name>` (TUF 1.0, 6.2: consistent snapshots), or for its bare name."""
    prefixed = _PREFIXED.match(name)
    if prefixed is None:
        return store_queries.published_package(tenant, f"{role}/{name}")
    try:
        package = store_queries.published_package(tenant, f"{role}/{prefixed[2]}")
    except PackageNotFoundError:
        # A name may begin like a digest.
        return store_queries.published_package(tenant, f"{role}/{name}")
    if prefixed[1] not in (package.sha256, package.sha512):
        raise TargetNotFoundError(f"{package} has another digest.", target=package.target_name)
    return package
