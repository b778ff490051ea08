"""The fleet's part in a vehicle's sale and end: credentials, claim codes, groups, personal attributes."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.fleet import rules
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.errors import (
    AttributeUnknownError,
    ReasonMissingError,
    VehicleDecommissionedError,
    VehicleNotDecommissionedError,
)
from otaserver.fleet.models import Attribute, AttributeValue, ClaimCode, Membership, Vehicle
from otaserver.fleet.operations import identity
from otaserver.fleet.provisioning_models import ProvisioningPermit
from otaserver.fleet.states import AuthenticationState
from otaserver.tenants.models import Tenant


@dataclass(frozen=True)
class Ended:
    """How much of a vehicle's has ended."""

    credentials: int
    claim_codes: int
    attributes: int = 0
    groups: int = 0


def end_ownership(vehicle: Vehicle, *, at: datetime) -> Ended:
    """End what a vehicle had of its owner, in the caller's transaction: all credentials, every right to new ones that
    nobody has used, and the values of attributes that are marked personal, also as the vehicle reported them itself.
    """
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    codes = _end_rights(vehicle)
    return Ended(identity.end_credentials(vehicle, at=at), codes, attributes=_clear_personal(vehicle))


def mark_decommissioned(vehicle: Vehicle, *, at: datetime) -> Ended:
    """End a vehicle, in the caller's transaction: no credentials, no claim codes, in no group, not enrolled.

    Its ECUs, attempts, reports and manifests stay as records.

    Raises:
        VehicleDecommissionedError: it has ended already.
    """
    marked = Vehicle.objects.filter(pk=vehicle.pk, decommissioned_at=None)
    if not marked.update(decommissioned_at=at, enrolled_at=None, is_manifest_wanted=False, is_health_wanted=False):
        raise VehicleDecommissionedError(f"Vehicle {vehicle} is decommissioned already.", vehicle_id=vehicle.vehicle_id)
    vehicle.decommissioned_at, vehicle.enrolled_at = at, None
    codes = _end_rights(vehicle)
    groups, _ = Membership.objects.filter(vehicle=vehicle).delete()
    return Ended(identity.end_credentials(vehicle, at=at), codes, groups=groups)


@transaction.atomic
def recommission_vehicle(vehicle: Vehicle, *, reason: str, by: str, at: datetime) -> None:
    """Let a vehicle that was decommissioned enrol again; it needs a new claim code, and is in no group.

    Raises:
        ReasonMissingError: no reason given.
        VehicleNotDecommissionedError: it is not decommissioned.
    """
    if not reason.strip():
        raise ReasonMissingError("Taking a vehicle back into service needs a reason, in a sentence.")
    ended = Vehicle.objects.filter(pk=vehicle.pk, decommissioned_at__isnull=False)
    if not ended.update(decommissioned_at=None):
        raise VehicleNotDecommissionedError(f"Vehicle {vehicle} is not decommissioned.", vehicle_id=vehicle.vehicle_id)
    vehicle.decommissioned_at = None
    audit.record("vehicle.recommissioned", vehicle, tenant=vehicle.tenant, by=by, at=at, reason=reason.strip())


@transaction.atomic
def mark_personal(tenant: Tenant, *, name: str, is_personal: bool, by: str, at: datetime) -> Attribute:
    """Say whether an attribute tells of a vehicle's owner: then its values go with the owner at a sale.

    Raises:
        AttributeUnknownError: the tenant has not declared it.
    """
    attribute = Attribute.objects.filter(tenant=tenant, name=name[:100]).first()
    if attribute is None:
        raise AttributeUnknownError(f"Tenant {tenant} has not declared {name[:100]}.", names=[name[:100]])
    if attribute.is_personal != is_personal:
        Attribute.objects.filter(pk=attribute.pk).update(is_personal=is_personal)
        attribute.is_personal = is_personal
        audit.record("attribute.marked", attribute, tenant=tenant, by=by, at=at, is_personal=is_personal)
    return attribute


def _end_rights(vehicle: Vehicle) -> int:
    """End what would let somebody in as this vehicle, and return how many claim codes that were."""
    ProvisioningPermit.objects.filter(vehicle=vehicle).delete()
    expected = AuthenticationSet.objects.filter(
        tenant=vehicle.tenant_id,
        claimed_vehicle_id=vehicle.vehicle_id,
        state=AuthenticationState.PREAUTHORISED,
    )
    expected.delete()
    codes = ClaimCode.objects.filter(tenant=vehicle.tenant_id, vehicle_id=vehicle.vehicle_id, used_at=None)
    return codes.delete()[0]


def _clear_personal(vehicle: Vehicle) -> int:
    personal = set(Attribute.objects.filter(tenant=vehicle.tenant_id, is_personal=True).values_list("name", flat=True))
    cleared, _ = AttributeValue.objects.filter(vehicle=vehicle, attribute__is_personal=True).delete()
    reported = [row.pk for row in vehicle.reported_attributes.all() if rules.declared_name(row.name) in personal]
    vehicle.reported_attributes.filter(pk__in=reported).delete()
    return cleared
