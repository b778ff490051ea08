"""One ECU for another: the workshop replaces it, the vehicle declares it, and nothing else of the vehicle ends."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.fleet import rules
from otaserver.fleet.ecu_changes import AnnouncedSwap, EcuFacts, change_problem
from otaserver.fleet.errors import EcuChangeRefusedError, EcuUnknownError, ReasonMissingError
from otaserver.fleet.lifecycle_models import EcuSwap
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import claims, enrolment
from otaserver.fleet.operations.configurations import refresh_configuration
from otaserver.fleet.rules import EcuDeclaration
from otaserver.fleet.states import Protocol
from otaserver.tenants.models import Tenant

SWAP_LIFE = timedelta(days=14)


@transaction.atomic
def announce_ecu_swap(
    vehicle: Vehicle,
    *,
    old_serial: str,
    reason: str,
    by: str,
    at: datetime,
    new_serial: str = "",
    hardware_id: str = "",
    valid_for: timedelta = SWAP_LIFE,
) -> EcuSwap:
    """Let a vehicle declare, once, another ECU in place of this one; nothing ends before it does.

    `new_serial` empty: whichever comes; the same as the old one: another key. `hardware_id` empty: as it was. A later
    announcement for the same ECU takes the place of an earlier one.

    Raises:
        ReasonMissingError: no reason given.
        EcuUnknownError: the vehicle has no such ECU.
        EcusRefusedError: no ECU can have that serial or hardware id.
    """
    if not reason.strip():
        raise ReasonMissingError("Replacing an ECU needs a reason, in a sentence.")
    ecu = vehicle.ecus.filter(serial=old_serial[:64]).first()
    if ecu is None:
        raise EcuUnknownError(f"Vehicle {vehicle} has no ECU {old_serial[:80]!r}.", serial=old_serial[:80])
    hardware_id = hardware_id or ecu.hardware_id
    rules.check_ecus([EcuDeclaration(new_serial or old_serial, hardware_id, is_primary=True, public_key={})])
    values = {
        "new_serial": new_serial,
        "hardware_id": hardware_id,
        "reason": reason.strip(),
        "announced_by": by,
        "announced_at": at,
        "expires_at": at + valid_for,
    }
    swap, _ = EcuSwap.objects.update_or_create(vehicle=vehicle, old_serial=old_serial, done_at=None, defaults=values)
    audit.record(
        "vehicle.ecu_swap_announced",
        vehicle,
        tenant=vehicle.tenant,
        by=by,
        at=at,
        old_serial=old_serial,
        new_serial=new_serial,
        hardware_id=hardware_id,
        reason=reason.strip(),
    )
    return swap


def declare_ecus(
    vehicle: Vehicle, ecus: tuple[EcuDeclaration, ...], *, claim_code: str | None, address: str, at: datetime
) -> bool:
    """Take down which ECUs a vehicle has now, and return whether that is new. Its credentials stay as they are.

    A claim code for the vehicle, which is used up, covers any change; without one each must have been announced. An ECU
    with the same serial and key keeps what it has proved. An order for ECUs that are gone is taken back by the next
    tick. Do not call it inside another transaction: wrong codes are counted although it raises.

    Raises:
        ClaimRateLimitedError, ClaimInvalidError, ClaimUsedError: the claim code is no right to it.
        EcuChangeRefusedError: nobody has announced this change.
        EcusRefusedError, EcuKeyRefusedError: a malformed part.
        EcuSerialTakenError: another vehicle of the tenant has an ECU with one of these serials.
    """
    claim = None
    if claim_code is not None:
        claim = claims.find_claim(vehicle.tenant, vehicle.vehicle_id, claim_code, address=address, at=at)
    rules.check_ecus(ecus)
    keyids = enrolment.keyids_of(ecus)
    declared = {EcuFacts(ecu.serial, ecu.hardware_id, ecu.is_primary, keyids[ecu.serial]) for ecu in ecus}
    with transaction.atomic():
        # As enrolments do: one at a time in a tenant, and no credential of the vehicle is renewed meanwhile.
        Tenant.objects.select_for_update(no_key=True).get(pk=vehicle.tenant_id)
        locked = enrolment.locked_vehicle(vehicle.tenant, vehicle.vehicle_id, at=at)
        held = {EcuFacts(*row) for row in locked.ecus.values_list("serial", "hardware_id", "is_primary", "keyid")}
        if held == declared:
            return False
        if claim is not None:
            claims.use_claim(claim, unanswered=None, at=at)
        else:
            problem = unannounced(locked, held, declared, at=at)
            if problem:
                raise EcuChangeRefusedError(problem, vehicle_id=locked.vehicle_id)
        enrolment.replace_ecus(locked, ecus, keyids)
        refresh_configuration(locked)
        enrolment.mark_enrolled(locked, Protocol(locked.protocol), at=at)
        gone = sorted({ecu.serial for ecu in held - declared})
        use_up(locked, gone, at=at)
        audit.record(
            "vehicle.ecus_declared",
            locked,
            tenant=locked.tenant,
            by=rules.VEHICLE,
            at=at,
            gone=gone,
            new=sorted({ecu.serial for ecu in declared - held}),
            by_claim_code=claim is not None,
        )
    return True


def unannounced(vehicle: Vehicle, held: set[EcuFacts], declared: set[EcuFacts], *, at: datetime) -> str | None:
    """Return why this change of a vehicle's ECUs is not what was announced, as a sentence, or None if it is."""
    rows = EcuSwap.objects.filter(vehicle=vehicle, done_at=None, expires_at__gt=at)
    swaps = [AnnouncedSwap(*row) for row in rows.values_list("old_serial", "new_serial", "hardware_id")]
    return change_problem(held, declared, swaps)


def use_up(vehicle: Vehicle, gone: Collection[str], *, at: datetime) -> None:
    """Note that the ECUs of these serials are gone: what was announced for them has happened."""
    EcuSwap.objects.filter(vehicle=vehicle, old_serial__in=gone, done_at=None).update(done_at=at)
