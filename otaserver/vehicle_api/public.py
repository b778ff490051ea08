"""Metadata that is anybody's: roots, and all of the Image repository's."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from firmware_store.trust import queries as trust_queries
from firmware_store.trust.errors import MetadataNotFoundError
from otaserver.vehicle_api import answers, identity


def role_metadata(
    request: HttpRequest,
    tenant: str,
    repository: str,
    role: str,
    *,
    profile: str,
    version: str | None,
    look_up: Callable[[str], object] = identity.find_tenant,
) -> HttpResponseBase:
    """Return a version of a role's metadata, or the newest, by the tenant's name: in one read where it is there.

    Where it is not, `look_up` tells by its refusal whether there is no such tenant at all.

    Raises:
        TenantNotFoundError, MetadataNotFoundError: there is no such tenant, or no such file.
    """
    number = int(version) if version else None
    try:
        found = trust_queries.role_metadata(tenant.lower(), repository, role, profile, number)
    except MetadataNotFoundError:
        look_up(tenant)
        raise
    cache = answers.NO_CACHE if version is None else answers.IMMUTABLE
    return answers.metadata(request, bytes(found.body), cache=f"public, {cache}")
