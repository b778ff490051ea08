"""Metadata that is anybody's: roots, and all of the Image repository's."""

from datetime import datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from firmware_store.trust import queries as trust_queries
from firmware_store.trust.errors import MetadataNotFoundError
from otaserver.vehicle_api import answers, seen


def role_metadata(
    request: HttpRequest, tenant: str, repository: str, role: str, *, profile: str, version: str | None, at: datetime
) -> HttpResponseBase:
    """Return a version of a role's metadata, or the newest, by the tenant's name: in one read where it is there.

    Raises:
        TenantNotFoundError, MetadataNotFoundError: there is no such tenant, or no such file.
    """
    number = int(version) if version else None
    try:
        found = trust_queries.role_metadata(tenant.lower(), repository, role, profile, number)
    except MetadataNotFoundError:
        seen.find_tenant(request, tenant, at=at)
        raise
    cache = answers.NO_CACHE if version is None else answers.IMMUTABLE
    return answers.metadata(request, bytes(found.body), cache=f"public, {cache}")
