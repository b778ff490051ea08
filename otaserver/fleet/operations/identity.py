import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.fleet.credentials import certificates
from otaserver.fleet.errors import CertificateRequestRefusedError, CredentialInvalidError
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations.authority import load_authority
from otaserver.fleet.states import CredentialKind
from otaserver.tenants.models import Tenant

TOKEN_LIFETIME = timedelta(days=365)
# What was replaced lives on so long: a vehicle that never got the answer with the new one can ask again.
RENEWAL_OVERLAP = timedelta(hours=24)
TOKEN_PREFIX = "otav_"


@dataclass(frozen=True)
class Enrolment:
    """A vehicle's new credentials, and what it needs to begin. The token is not kept: this is the only copy.

    Without a certificate request, or where the tenant has no fleet authority, there is no certificate.
    """

    vehicle: Vehicle
    token: str
    token_expires_at: datetime
    certificate: str | None
    certificate_expires_at: datetime | None
    authority: str | None
    polling_seconds: int


def check_certificate_request(pem: str | None) -> None:
    """Raise CertificateRequestRefusedError unless a certificate can be issued for this request; None asks for none."""
    try:
        if pem is not None:
            certificates.load_request(pem)
    except certificates.RequestRefusedError as error:
        raise CertificateRequestRefusedError(str(error)) from error


def issue_credentials(vehicle: Vehicle, *, certificate_request: str | None, at: datetime) -> Enrolment:
    """Issue a token and, for a request that was checked, a certificate, in the caller's transaction."""
    token, token_expires_at = TOKEN_PREFIX + secrets.token_urlsafe(32), at + TOKEN_LIFETIME
    _store(vehicle, CredentialKind.TOKEN, _token_fingerprint(token), expires_at=token_expires_at, at=at)
    authority = load_authority(vehicle.tenant) if certificate_request is not None else None
    issued = None
    if authority is not None and certificate_request is not None:
        issued = certificates.issue(
            authority,
            certificates.load_request(certificate_request),
            vehicle_id=vehicle.vehicle_id,
            tenant=vehicle.tenant.name,
            at=at,
        )
        _store(vehicle, CredentialKind.CERTIFICATE, issued.serial, expires_at=issued.expires_at, at=at)
    return Enrolment(
        vehicle=vehicle,
        token=token,
        token_expires_at=token_expires_at,
        certificate=issued.pem if issued else None,
        certificate_expires_at=issued.expires_at if issued else None,
        authority=authority.certificate_pem if authority else None,
        polling_seconds=vehicle.tenant.polling_seconds,
    )


@transaction.atomic
def renew(vehicle: Vehicle, *, certificate_request: str | None, at: datetime) -> Enrolment:
    """Give a vehicle new credentials; those of the same kinds that it had end within 24 hours.

    Raises:
        CertificateRequestRefusedError: no certificate can be issued for that request.
        CredentialInvalidError: its credentials have been revoked meanwhile.
    """
    check_certificate_request(certificate_request)
    # The parent first, as revoke_credentials does: what is revoked cannot renew itself in the same moment.
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    held = Credential.objects.filter(vehicle=vehicle)
    if not held.filter(revoked_at=None, expires_at__gt=at).exists():
        raise CredentialInvalidError(f"Vehicle {vehicle} has no credential to renew.")
    # Each renewal clears away what has ended by itself, so that the rows of a vehicle stay few.
    held.filter(expires_at__lte=at).delete()
    before = list(held.values_list("pk", flat=True))
    renewed = issue_credentials(vehicle, certificate_request=certificate_request, at=at)
    kinds = [CredentialKind.TOKEN] + ([CredentialKind.CERTIFICATE] if renewed.certificate else [])
    last = at + RENEWAL_OVERLAP
    Credential.objects.filter(pk__in=before, kind__in=kinds, expires_at__gt=last).update(expires_at=last)
    return renewed


def identify_token(tenant: Tenant, token: str, *, at: datetime) -> Vehicle:
    """Return the tenant's vehicle whose live token this is, be it blocked or not.

    Raises:
        CredentialInvalidError: unknown, expired, revoked, or another tenant's; the message does not tell which.
    """
    return _identified(tenant, CredentialKind.TOKEN, _token_fingerprint(token), at=at)


def identify_certificate(tenant: Tenant, *, serial: str, common_name: str, at: datetime) -> Vehicle:
    """Return the tenant's vehicle whose live certificate has this serial number (hex) and common name.

    Case, colons and leading zeros do not matter: proxies write serial numbers in several ways. That the certificate
    is genuine, the proxy has checked.

    Raises:
        CredentialInvalidError: unknown, expired, revoked, or another's; the message does not tell which.
    """
    plain = serial.replace(":", "").lower().lstrip("0")[:64]
    vehicle = _identified(tenant, CredentialKind.CERTIFICATE, plain, at=at)
    if vehicle.vehicle_id.lower() != common_name.lower():
        raise _invalid()
    return vehicle


@transaction.atomic
def revoke_credentials(vehicle: Vehicle, *, by: str, at: datetime) -> int:
    """End every credential of a vehicle now and return how many that were; it needs a new claim code."""
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    count = end_credentials(vehicle, at=at)
    if count:
        audit.record("vehicle.credentials_revoked", vehicle, tenant=vehicle.tenant, by=by, at=at, count=count)
    return count


def end_credentials(vehicle: Vehicle, *, at: datetime) -> int:
    """End every live credential of a vehicle in the caller's transaction; return how many that were."""
    return Credential.objects.filter(vehicle=vehicle, revoked_at=None, expires_at__gt=at).update(revoked_at=at)


def _identified(tenant: Tenant, kind: CredentialKind, fingerprint: str, *, at: datetime) -> Vehicle:
    # Looked up by hash (or by a random serial number): the index sees nothing that tells how near a guess was.
    found = (
        Credential.objects.select_related("vehicle__tenant")
        .filter(kind=kind, fingerprint=fingerprint, vehicle__tenant=tenant)
        .first()
    )
    if found is None or found.revoked_at is not None or found.expires_at <= at:
        raise _invalid()
    return found.vehicle


def _invalid() -> CredentialInvalidError:
    return CredentialInvalidError("The credential is unknown, expired or revoked.")


def _token_fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _store(vehicle: Vehicle, kind: CredentialKind, fingerprint: str, *, expires_at: datetime, at: datetime) -> None:
    Credential.objects.create(vehicle=vehicle, kind=kind, fingerprint=fingerprint, created_at=at, expires_at=expires_at)
