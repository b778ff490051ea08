"""Why a credential is refused, for the operators of its tenant; whoever shows it is never told."""

from dataclasses import dataclass
from datetime import datetime

from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations.identity import token_fingerprint
from otaserver.fleet.rules import plain_serial
from otaserver.fleet.states import CredentialKind
from otaserver.tenants.models import Tenant


@dataclass(frozen=True)
class Diagnosis:
    """Whose credential it is, if it is one of this tenant's, and what is wrong with it, in a sentence."""

    vehicle: Vehicle | None
    sentence: str


def of_token(tenant: Tenant, token: str, *, at: datetime) -> Diagnosis:
    """Return what is known of a token, live or not, that was shown to this tenant."""
    return _diagnosed(tenant, CredentialKind.TOKEN, token_fingerprint(token), at=at)


def of_certificate(tenant: Tenant, serial: str, *, at: datetime) -> Diagnosis:
    """Return what is known of a certificate, live or not, by its serial number (hex)."""
    return _diagnosed(tenant, CredentialKind.CERTIFICATE, plain_serial(serial), at=at)


def _diagnosed(tenant: Tenant, kind: CredentialKind, fingerprint: str, *, at: datetime) -> Diagnosis:
    rows = Credential.objects.select_related("vehicle__tenant").filter(vehicle__tenant=tenant)
    found = rows.filter(kind=kind, fingerprint=fingerprint).first()
    if found is None:
        return Diagnosis(None, f"No vehicle of {tenant} has, or lately had, this {kind.label.lower()}.")
    vehicle = found.vehicle
    if vehicle.decommissioned_at is not None:
        return Diagnosis(vehicle, f"{vehicle} was decommissioned on {vehicle.decommissioned_at:%Y-%m-%d}.")
    if found.revoked_at is not None:
        return Diagnosis(vehicle, f"It is {vehicle}'s, revoked on {found.revoked_at:%Y-%m-%d %H:%M} UTC.")
    if found.expires_at <= at:
        return Diagnosis(vehicle, f"It is {vehicle}'s, and ended on {found.expires_at:%Y-%m-%d %H:%M} UTC.")
    return Diagnosis(vehicle, f"It is {vehicle}'s, and good.")
