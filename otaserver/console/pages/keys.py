"""Keys: which there are, how old they are, when what they signed ends, and which ceremony renews it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from firmware_store.models import OnlineKey
from firmware_store.trust import queries as trust
from otaserver import clock
from otaserver.console.pages.base import Page
from otaserver.fleet.lifecycle_models import RetiredAuthority
from otaserver.fleet.models import FleetAuthority
from otaserver.tenants.models import Tenant

_WARNED = timedelta(days=30)


@dataclass(frozen=True)
class SignedRole:
    """The newest metadata of one role: until when it holds, and what has to be done before."""

    repository: str
    role: str
    version: int
    expires_at: datetime
    is_online: bool
    is_urgent: bool
    ceremony: str


class Keys(Page):
    template = "console/keys.html"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        tenant, at = self.tenant(), clock.now()
        return self.render(
            _("Keys"),
            tenant=tenant,
            tenants=list(self.tenants()),
            roles=_roles(tenant, at=at),
            online=OnlineKey.objects.filter(tenant=tenant).order_by("repository", "role", "-created_at"),
            authorities=FleetAuthority.objects.filter(tenant=tenant),
            retired=RetiredAuthority.objects.filter(tenant=tenant).order_by("-retired_at"),
            at=at,
        )


def _roles(tenant: Tenant, *, at: datetime) -> list[SignedRole]:
    found = []
    for row in trust.newest_metadata(tenant).defer("body").order_by("expires_at"):
        is_online = row.role in trust.ONLINE_ROLES[row.repository]
        urgent = not is_online and row.expires_at <= at + _WARNED
        ceremony = _("The server signs it anew by itself.") if is_online else _ceremony(row.role)
        found.append(SignedRole(row.repository, row.role, row.version, row.expires_at, is_online, urgent, ceremony))
    return sorted(found, key=lambda each: (each.is_online, each.expires_at))


def _ceremony(role: str) -> str:
    if role == "root":
        return _("The holders of the root keys sign the next root together, off the server.")
    if role == "targets":
        return _("The holders of the targets keys say again whose signature counts for which packages.")
    return _("A holder of the role's key signs its list of packages again; publishing a package does so too.")
