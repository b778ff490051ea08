import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Max, Q

from otaserver.audit import operations as audit
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.credentials import certificates
from otaserver.fleet.errors import CertificateRequestRefusedError, CredentialInvalidError
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations.authority import load_authority
from otaserver.fleet.rules import plain_serial
from otaserver.fleet.states import AuthenticationState, CredentialKind
from otaserver.tenants.models import Tenant

TOKEN_LIFETIME = timedelta(days=365)
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
    """Issue a token and, for a request that was checked, a certificate.

    They are one generation, the vehicle's next. The caller's transaction holds the vehicle locked.
    """
    last = Credential.objects.filter(vehicle=vehicle).aggregate(last=Max("generation"))["last"] or 0
    store = partial(Credential.objects.create, vehicle=vehicle, generation=last + 1, created_at=at)
    token, token_expires_at = TOKEN_PREFIX + secrets.token_urlsafe(32), at + TOKEN_LIFETIME
    store(kind=CredentialKind.TOKEN, fingerprint=token_fingerprint(token), expires_at=token_expires_at)
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
        store(kind=CredentialKind.CERTIFICATE, fingerprint=issued.serial, expires_at=issued.expires_at)
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
    """Give a vehicle new credentials. Those of the same kinds that it had end when one of the new ones is first used.

    Until then the vehicle may not have received them: what it has serves on until its own expiry, and asking again
    replaces new ones that were never used.

    Raises:
        CertificateRequestRefusedError: no certificate can be issued for that request.
        CredentialInvalidError: it has none that was ever used, or they have been revoked meanwhile.
    """
    check_certificate_request(certificate_request)
    # The parent first, as revoke_credentials does: what is revoked cannot renew itself in the same moment.
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    held = Credential.objects.filter(vehicle=vehicle)
    last = held.filter(used_at__isnull=False).order_by("-generation", "-expires_at").first()
    if last is None or not _may_renew(last, at=at):
        raise CredentialInvalidError(f"Vehicle {vehicle} has no credential to renew.")
    # So the rows of a vehicle stay few, however often it asks and its answers are lost. The last that it has used
    # stays, even expired: if this answer is lost too, it has nothing else to ask with.
    held.filter(Q(used_at=None) | Q(expires_at__lte=at, generation__lt=last.generation)).delete()
    return issue_credentials(vehicle, certificate_request=certificate_request, at=at)


def identify_token(tenant: Tenant | str, token: str, *, at: datetime) -> Credential:
    """Return the live credential that this token is, with the tenant's vehicle that it belongs to, blocked or not.

    By its tenant's name, as by the tenant itself, it is found in one read.

    The first use of a renewed credential, here as with a certificate, ends what it replaced.

    Raises:
        CredentialInvalidError: unknown, expired, revoked, or another tenant's; the message does not tell which.
    """
    return _identified(tenant, CredentialKind.TOKEN, token_fingerprint(token), at=at)


def identify_to_renew(tenant: Tenant, token: str, *, at: datetime) -> Vehicle:
    """Return the vehicle whose token this is, to renew it and for nothing else: it may have ended a while ago.

    A vehicle that stood still for years comes back so, without hands. It must be the last token that the vehicle has
    used, neither replaced nor revoked, and for no longer than the tenant's `late_renewal_days` past its end.

    Raises:
        CredentialInvalidError: as `identify_token`.
    """
    rows = Credential.objects.select_related("vehicle__tenant").filter(vehicle__tenant=tenant)
    found = rows.filter(kind=CredentialKind.TOKEN, fingerprint=token_fingerprint(token)).first()
    if found is None or found.expires_at > at:
        return identify_token(tenant, token, at=at).vehicle
    newer = Credential.objects.filter(vehicle=found.vehicle, generation__gt=found.generation, used_at__isnull=False)
    if found.used_at is None or not _may_renew(found, at=at) or newer.exists():
        raise _invalid()
    return found.vehicle


def _may_renew(credential: Credential, *, at: datetime) -> bool:
    late = timedelta(days=credential.vehicle.tenant.late_renewal_days)
    return credential.revoked_at is None and at < credential.expires_at + late


def identify_certificate(tenant: Tenant | str, *, serial: str, common_name: str, at: datetime) -> Credential:
    """Return the live certificate with this serial number (hex) and common name, with the tenant's vehicle.

    Case, colons and leading zeros do not matter: proxies write serial numbers in several ways. That the certificate
    is genuine, the proxy has checked.

    Raises:
        CredentialInvalidError: unknown, expired, revoked, or another's; the message does not tell which.
    """
    found = _identified(tenant, CredentialKind.CERTIFICATE, plain_serial(serial), at=at)
    if found.vehicle.vehicle_id.lower() != common_name.lower():
        raise _invalid()
    return found


@transaction.atomic
def revoke_credentials(vehicle: Vehicle, *, by: str, at: datetime, reason: str = "") -> int:
    """End every credential of a vehicle now and return how many that were; it needs a new claim code."""
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    count = end_credentials(vehicle, at=at)
    if count:
        said = {"reason": reason.strip()} if reason.strip() else {}
        audit.record("vehicle.credentials_revoked", vehicle, tenant=vehicle.tenant, by=by, at=at, count=count, **said)
    return count


def end_credentials(vehicle: Vehicle, *, at: datetime) -> int:
    """End every credential of a vehicle in the caller's transaction; return how many of them were good until now.

    Expired ones are revoked as well: they could renew themselves late. A key that was accepted is rejected: with it the
    vehicle could get itself another.
    """
    AuthenticationSet.objects.filter(vehicle=vehicle, state=AuthenticationState.ACCEPTED).update(
        state=AuthenticationState.REJECTED, decided_at=at, reason="The vehicle's credentials were ended."
    )
    held = Credential.objects.filter(vehicle=vehicle, revoked_at=None)
    live = held.filter(expires_at__gt=at).count()
    held.update(revoked_at=at)
    return live


def unanswered_since(vehicle: Vehicle, *, at: datetime) -> datetime | None:
    """Return when the vehicle was given the credentials it has, if none of them was seen since; None otherwise."""
    live = Credential.objects.filter(vehicle=vehicle, revoked_at=None, expires_at__gt=at)
    given = set(live.values_list("created_at", "used_at"))
    if len(given) != 1:
        return None
    created_at, used_at = given.pop()
    return created_at if used_at is None else None


def _identified(tenant: Tenant | str, kind: CredentialKind, fingerprint: str, *, at: datetime) -> Credential:
    # Looked up by hash (or by a random serial number): the index sees nothing that tells how near a guess was.
    found = (
        Credential.objects.select_related("vehicle__tenant")
        .filter(Q(vehicle__tenant__name=tenant) if isinstance(tenant, str) else Q(vehicle__tenant=tenant))
        .filter(kind=kind, fingerprint=fingerprint)
        .first()
    )
    if found is None or found.revoked_at is not None or found.expires_at <= at:
        raise _invalid()
    if found.used_at is None:
        _begin_use(found, at=at)
    return found


@transaction.atomic
def _begin_use(credential: Credential, *, at: datetime) -> None:
    """Note that a generation has arrived at its vehicle, and end what it replaced: an old copy is worth nothing now."""
    # The parent first, as renew and revoke_credentials do.
    Vehicle.objects.select_for_update(no_key=True).get(pk=credential.vehicle_id)
    held = Credential.objects.filter(vehicle=credential.vehicle_id)
    generation = held.filter(generation=credential.generation, revoked_at=None, expires_at__gt=at)
    if not generation.filter(pk=credential.pk).exists():
        # Replaced or revoked in this very moment.
        raise _invalid()
    # All of it: they came in one answer, and of a vehicle that sends both the certificate is never looked up.
    generation.update(used_at=at)
    older = held.filter(generation__lt=credential.generation, kind__in=generation.values("kind"), expires_at__gt=at)
    older.update(expires_at=at)


def _invalid() -> CredentialInvalidError:
    return CredentialInvalidError("The credential is unknown, expired or revoked.")


def token_fingerprint(token: str) -> str:
    """Return the form in which a token is stored."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
