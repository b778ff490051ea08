"""ECUs as a vehicle says them itself, with credentials that it has already: its first ones, or others by permission."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.fleet import rules
from otaserver.fleet.ecu_changes import EcuFacts
from otaserver.fleet.errors import EcuChangeRefusedError
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import ecu_swaps, enrolment
from otaserver.fleet.operations.configurations import refresh_configuration
from otaserver.fleet.provisioning_models import ProvisioningPermit
from otaserver.fleet.rules import EcuDeclaration
from otaserver.fleet.states import Protocol
from otaserver.tenants.models import Tenant


@dataclass(frozen=True)
class Registration:
    """What became of declared ECUs: the vehicle's first, others than before, or neither."""

    is_first: bool
    is_changed: bool


@transaction.atomic
def register_ecus(
    vehicle: Vehicle, ecus: tuple[EcuDeclaration, ...], *, protocol: Protocol, at: datetime
) -> Registration:
    """Take down which ECUs a vehicle has, as it says itself with credentials that it has already.

    Its first ones are taken at its word, and declaring what it has changes nothing. Any other change must have been
    announced (`announce_ecu_swap`), or be covered by an operator's permit, which is used up: whoever has stolen a
    vehicle's certificate could else give it ECUs with keys of his own, and prove what he likes. The ECUs are then
    replaced as by `enrol`: one with the same serial and key keeps what it has proved, an order for the others is taken
    back, and all of it is to be proved anew.

    Raises:
        EcusRefusedError, EcuKeyRefusedError: a malformed part.
        EcuChangeRefusedError: nobody has announced or permitted this change.
        EcuSerialTakenError: another vehicle of the tenant has an ECU with one of these serials.
    """
    rules.check_ecus(ecus)
    keyids = enrolment.keyids_of(ecus)
    # As in `enrol`.
    Tenant.objects.select_for_update(no_key=True).get(pk=vehicle.tenant_id)
    locked = enrolment.locked_vehicle(vehicle.tenant, vehicle.vehicle_id, at=at)
    is_first = locked.enrolled_at is None
    if not is_first and enrolment.declares_what_it_has(locked, ecus, keyids):
        # After a reset the permit was for these very ones.
        ProvisioningPermit.objects.filter(vehicle=locked, provisioned_at__isnull=False).delete()
        if locked.protocol == protocol:
            return Registration(is_first=False, is_changed=False)
    elif not is_first:
        _use_permission(locked, ecus, keyids, at=at)
    before = dict(locked.ecus.values_list("serial", "keyid"))
    enrolment.replace_ecus(locked, ecus, keyids)
    refresh_configuration(locked)
    enrolment.mark_enrolled(locked, protocol, at=at)
    if not is_first:
        audit.record(
            "vehicle.ecus_replaced",
            locked,
            tenant=locked.tenant,
            by=rules.VEHICLE,
            at=at,
            before=sorted(before),
            after=sorted(keyids),
            new_keys=sorted(serial for serial, keyid in keyids.items() if before.get(serial, keyid) != keyid),
        )
    return Registration(is_first=is_first, is_changed=True)


def _use_permission(
    vehicle: Vehicle, ecus: tuple[EcuDeclaration, ...], keyids: dict[str, str], *, at: datetime
) -> None:
    held = {EcuFacts(*row) for row in vehicle.ecus.values_list("serial", "hardware_id", "is_primary", "keyid")}
    declared = {EcuFacts(ecu.serial, ecu.hardware_id, ecu.is_primary, keyids[ecu.serial]) for ecu in ecus}
    permitted, _ = ProvisioningPermit.objects.filter(vehicle=vehicle, expires_at__gt=at).delete()
    problem = None if permitted else ecu_swaps.unannounced(vehicle, held, declared, at=at)
    if problem:
        raise EcuChangeRefusedError(problem, vehicle_id=vehicle.vehicle_id)
    ecu_swaps.use_up(vehicle, {ecu.serial for ecu in held - declared}, at=at)
