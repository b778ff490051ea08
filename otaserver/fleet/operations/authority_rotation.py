"""A second fleet CA in place of the first: both are trusted while vehicles renew their certificates."""

from datetime import datetime

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.fleet import queries
from otaserver.fleet.credentials import certificates
from otaserver.fleet.errors import AuthorityInUseError, AuthorityMissingError, ReasonMissingError
from otaserver.fleet.lifecycle_models import RetiredAuthority
from otaserver.fleet.models import FleetAuthority
from otaserver.fleet.operations.authority import write_authority_key
from otaserver.tenants.models import Tenant


@transaction.atomic
def rotate_fleet_authority(tenant: Tenant, *, reason: str, by: str, at: datetime) -> FleetAuthority:
    """Let a new CA issue the tenant's vehicle certificates from now on; the old one stays trusted until it is ended.

    Every vehicle gets a certificate of the new one when it renews, which it does before a third of its credentials'
    life is left. The old key is kept with the online keys, and used no more.

    Raises:
        ReasonMissingError: no reason given.
        AuthorityMissingError: the tenant has none that could be replaced.
    """
    _require(reason)
    old = FleetAuthority.objects.select_for_update().filter(tenant=tenant).first()
    if old is None:
        raise AuthorityMissingError(f"Tenant {tenant} has no fleet CA.")
    retired = RetiredAuthority.objects.create(
        tenant=tenant, certificate_pem=old.certificate_pem, created_at=old.created_at, retired_at=at
    )
    made = certificates.make_authority(tenant.name, at=at)
    old.certificate_pem, old.created_at = made.certificate_pem, at
    old.key_name = write_authority_key(tenant, made.key_pem).name
    old.save(update_fields=["certificate_pem", "created_at", "key_name"])
    audit.record("fleet_authority.rotated", retired, tenant=tenant, by=by, at=at, reason=reason.strip())
    return old


@transaction.atomic
def end_retired_authority(
    authority: RetiredAuthority, *, reason: str, by: str, at: datetime, ends_certificates: bool = False
) -> int:
    """Trust a retired CA no more, and return how many certificates ended with it. Ending it again changes nothing.

    Proxies hear of it at the next tick or command (`fleet_authorities`).

    Raises:
        ReasonMissingError: no reason given.
        AuthorityInUseError: vehicles still have certificates of it, and `ends_certificates` does not say that those
            shall end.
    """
    _require(reason)
    live = queries.certificates_of(authority, at=at)
    count = live.count()
    if count and not ends_certificates:
        raise AuthorityInUseError(
            f"{count} vehicles' certificates of the {authority} are still good; wait until they are renewed, or end "
            "them with it.",
            certificates=count,
        )
    if RetiredAuthority.objects.filter(pk=authority.pk, ended_at=None).update(ended_at=at):
        authority.ended_at = at
        live.update(revoked_at=at)
        audit.record(
            "fleet_authority.ended",
            authority,
            tenant=authority.tenant,
            by=by,
            at=at,
            reason=reason.strip(),
            certificates=count,
        )
    return count


def _require(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissingError("Replacing or ending a fleet CA needs a reason, in a sentence.")
