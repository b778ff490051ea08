"""Provisioning with a credential that many vehicles share: it makes a vehicle known once, and takes none over."""

import io
import re
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max

from otaserver.audit import operations as audit
from otaserver.fleet import rules
from otaserver.fleet.credentials import bundles, certificates
from otaserver.fleet.errors import (
    CredentialInvalidError,
    ProvisioningLifetimeRefusedError,
    ProvisioningNameRefusedError,
    ProvisioningNameTakenError,
    ProvisioningRefusedError,
    ProvisioningUnavailableError,
    ReasonMissingError,
)
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations import identity
from otaserver.fleet.operations.authority import load_authority
from otaserver.fleet.operations.vehicles import refuse_decommissioned
from otaserver.fleet.provisioning_models import ProvisioningCredential, ProvisioningPermit
from otaserver.fleet.states import CredentialKind, Protocol
from otaserver.tenants.models import Tenant

LONGEST_SHARED_LIFE = timedelta(days=3 * 366)
PERMIT_LIFE = timedelta(days=7)
LONGEST_PERMIT_LIFE = timedelta(days=90)
# A client whose answer was lost asks again at once. Later its certificate may wait in a vehicle that has never run.
REPEATED_WITHIN = timedelta(hours=1)
_NAME = re.compile(r"[a-z0-9-]{1,40}\Z")
_ADDRESS = re.compile(r"https?://[!-~]{1,500}\Z")


@dataclass(frozen=True)
class IssuedProvisioning:
    """A shared credential and what vehicles get of it (`credentials.zip`). The key in it is the only copy."""

    credential: ProvisioningCredential
    archive: bytes


@dataclass(frozen=True)
class ProvisionedVehicle:
    """A vehicle with its new key and certificate (PKCS #12, no password). The key in it is the only copy."""

    vehicle: Vehicle
    pkcs12: bytes


@transaction.atomic
def issue_provisioning_credential(
    tenant: Tenant, *, name: str, address: str, valid_for: timedelta, by: str, at: datetime
) -> IssuedProvisioning:
    """Issue a credential with which any number of vehicles may each ask once for a certificate of their own.

    `address` is where they will find this server (`https://…/aktualizr/<tenant>`); it stands in the archive.

    Raises:
        ProvisioningNameRefusedError, ProvisioningNameTakenError, ProvisioningLifetimeRefusedError: as they say.
        ProvisioningUnavailableError: the server cannot issue any.
    """
    if not _NAME.match(name) or not _ADDRESS.match(address):
        raise ProvisioningNameRefusedError(
            f"A provisioning credential has a name of 1 to 40 of a-z, 0-9 and hyphen, and an address that begins with "
            f"http:// or https://; {name!a:.80} with {address!a:.80} is none.",
            name=name[:80],
        )
    if not timedelta(0) < valid_for <= LONGEST_SHARED_LIFE:
        raise ProvisioningLifetimeRefusedError(
            f"A provisioning credential lives up to {LONGEST_SHARED_LIFE.days} days, not {valid_for.days}.",
            days=valid_for.days,
        )
    # A space: no vehicle can have that id.
    bundle = _bundle(tenant, f"provisioning {name}", valid_for, at=at)
    try:
        with transaction.atomic():
            credential = ProvisioningCredential.objects.create(
                tenant=tenant,
                name=name,
                fingerprint=bundle.serial,
                created_by=by,
                created_at=at,
                expires_at=bundle.expires_at,
            )
    except IntegrityError as error:
        raise ProvisioningNameTakenError(f"Tenant {tenant} has one named {name!r} already.", name=name) from error
    audit.record(
        "provisioning_credential.issued", name, tenant=tenant, by=by, at=at, expires_at=bundle.expires_at.isoformat()
    )
    return IssuedProvisioning(credential, _archive(address, bundle.pkcs12))


@transaction.atomic
def revoke_provisioning_credential(credential: ProvisioningCredential, *, by: str, at: datetime) -> None:
    """End a shared credential now; certificates that vehicles got by it stay. Revoking again changes nothing."""
    if ProvisioningCredential.objects.filter(pk=credential.pk, revoked_at=None).update(revoked_at=at):
        credential.revoked_at = at
        audit.record("provisioning_credential.revoked", credential, tenant=credential.tenant, by=by, at=at)


def identify_provisioner(tenant: Tenant, *, serial: str, common_name: str, at: datetime) -> ProvisioningCredential:
    """Return the tenant's live shared credential with this serial number and common name, as a proxy has checked them.

    Raises:
        CredentialInvalidError: unknown, expired, revoked, another tenant's, or a vehicle's own.
    """
    found = ProvisioningCredential.objects.filter(
        tenant=tenant, fingerprint=rules.plain_serial(serial), revoked_at=None, expires_at__gt=at
    ).first()
    if found is None or common_name != f"provisioning {found.name}":
        raise CredentialInvalidError("The provisioning credential is unknown, expired or revoked.")
    return found


@transaction.atomic
def provision(
    provisioner: ProvisioningCredential, vehicle_id: str, *, lifetime: timedelta, at: datetime
) -> ProvisionedVehicle:
    """Make a vehicle known that nobody knew, and give it a key and a certificate, which live as long as it asks.

    Its client renews none, so the certificate may live as long as the fleet CA; it can be revoked at any time. Asked
    again within the hour, and before the certificate was ever seen, it gives another one: the answer may have been
    lost. Any other vehicle that is known already needs an operator's permit (`permit_provisioning`), which is used up;
    what it had is revoked.

    Raises:
        VehicleIdRefusedError: no vehicle can have that id.
        ProvisioningRefusedError: the vehicle is known already.
        ProvisioningUnavailableError: the server cannot issue any.
    """
    rules.check_vehicle_id(vehicle_id)
    tenant = provisioner.tenant
    Vehicle.objects.get_or_create(tenant=tenant, vehicle_id=vehicle_id, defaults={"created_at": at})
    locked = Vehicle.objects.select_for_update(no_key=True, of=("self",)).select_related("tenant")
    vehicle = locked.get(tenant=tenant, vehicle_id=vehicle_id)
    refuse_decommissioned(vehicle)
    is_permitted = _use_permit(vehicle, at=at)
    if not (is_permitted or _is_new(vehicle) or _is_unanswered(vehicle, at=at)):
        raise ProvisioningRefusedError(
            f"Vehicle {vehicle} is known already; an operator has to permit that it is provisioned again.",
            vehicle_id=vehicle_id,
        )
    revoked = identity.end_credentials(vehicle, at=at)
    bundle = _bundle(tenant, vehicle_id, lifetime, at=at)
    last = Credential.objects.filter(vehicle=vehicle).aggregate(last=Max("generation"))["last"] or 0
    Credential.objects.create(
        vehicle=vehicle,
        kind=CredentialKind.CERTIFICATE,
        fingerprint=bundle.serial,
        generation=last + 1,
        created_at=at,
        expires_at=bundle.expires_at,
    )
    Vehicle.objects.filter(pk=vehicle.pk).update(protocol=Protocol.AKTUALIZR)
    vehicle.protocol = Protocol.AKTUALIZR
    if is_permitted:
        by = f"provisioning:{provisioner}"
        audit.record("vehicle.provisioned_again", vehicle, tenant=tenant, by=by, at=at, revoked_credentials=revoked)
    return ProvisionedVehicle(vehicle, bundle.pkcs12)


@transaction.atomic
def permit_provisioning(
    vehicle: Vehicle, *, reason: str, by: str, at: datetime, valid_for: timedelta = PERMIT_LIFE
) -> None:
    """Let a vehicle that is known already be provisioned once more: it was reset, or its disk replaced.

    It covers the ECUs as well that the vehicle registers next: after that, or without it, where they change in a way
    that no announcement fits. Nothing of the vehicle ends before it is. A later permit takes an earlier one's place.

    Raises:
        ReasonMissingError: no reason given.
        ProvisioningLifetimeRefusedError: a permit cannot live so long.
    """
    if not reason.strip():
        raise ReasonMissingError("A permit to provision a vehicle again needs a reason, in a sentence.")
    if not timedelta(0) < valid_for <= LONGEST_PERMIT_LIFE:
        raise ProvisioningLifetimeRefusedError(
            f"A permit lives up to {LONGEST_PERMIT_LIFE.days} days, not {valid_for.days}.", days=valid_for.days
        )
    values = {
        "reason": reason.strip(),
        "created_by": by,
        "created_at": at,
        "expires_at": at + valid_for,
        "provisioned_at": None,
    }
    ProvisioningPermit.objects.update_or_create(vehicle=vehicle, defaults=values)
    audit.record("vehicle.provisioning_permitted", vehicle, tenant=vehicle.tenant, by=by, at=at, reason=reason.strip())


def _use_permit(vehicle: Vehicle, *, at: datetime) -> bool:
    # It stands on, for the ECUs that the vehicle then registers (`register_ecus`).
    live = ProvisioningPermit.objects.filter(vehicle=vehicle, expires_at__gt=at, provisioned_at=None)
    return bool(live.update(provisioned_at=at))


def _is_new(vehicle: Vehicle) -> bool:
    return vehicle.enrolled_at is None and not Credential.objects.filter(vehicle=vehicle).exists()


def _is_unanswered(vehicle: Vehicle, *, at: datetime) -> bool:
    # One that was given credentials by another protocol is not provisioned by this one.
    given_at = identity.unanswered_since(vehicle, at=at) if vehicle.protocol == Protocol.AKTUALIZR else None
    return given_at is not None and at - given_at <= REPEATED_WITHIN


def _bundle(tenant: Tenant, common_name: str, lifetime: timedelta, *, at: datetime) -> bundles.Bundle:
    authority = load_authority(tenant)
    if authority is None:
        raise ProvisioningUnavailableError(f"Tenant {tenant} has no fleet CA to issue certificates with.")
    try:
        # A client that got no CA with its certificate would trust nobody.
        server_authority = Path(settings.SERVER_CA).read_text()
        return bundles.make_bundle(
            authority,
            common_name=common_name,
            tenant=tenant.name,
            server_authority=server_authority,
            lifetime=min(lifetime, certificates.AUTHORITY_LIFETIME),
            at=at,
        )
    except (OSError, ValueError) as error:
        raise ProvisioningUnavailableError(
            "OTA_SERVER_CA names no file with the CA of the server's own certificate, which vehicles have to know."
        ) from error


def _archive(address: str, pkcs12: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("autoprov.url", address)
        archive.writestr("autoprov_credentials.p12", pkcs12)
    return packed.getvalue()
