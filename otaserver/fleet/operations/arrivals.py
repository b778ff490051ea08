"""Vehicles that come from elsewhere, a batch at a time: what is there already stays, and is not written again."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db import transaction

from otaserver.fleet import rules
from otaserver.fleet.arrival_rules import Arrival, Problem
from otaserver.fleet.models import ClaimCode, Credential, Ecu, Group, Membership, Vehicle
from otaserver.fleet.operations import shared_tokens
from otaserver.fleet.operations.arrival_batches import ROWS, Batch, Counts, Taken, parts_of, problem_of
from otaserver.fleet.operations.attributes import set_attributes_by_key
from otaserver.fleet.operations.claims import VALID_FOR
from otaserver.fleet.operations.configurations import refresh_configurations
from otaserver.fleet.states import CredentialKind, GroupKind, Protocol
from otaserver.tenants.models import Tenant


@transaction.atomic
def take_in(
    tenant: Tenant,
    arrivals: Sequence[Arrival],
    *,
    new_groups: set[str],
    at: datetime,
    is_dry_run: bool = False,
) -> tuple[Counts, list[Problem]]:
    """Make these vehicles known, with all that their lines say; return what that changed, and which lines it left out.

    The lines name each vehicle, serial and code once. What is there already stays; ECUs, time zone, protocol and token
    become those of the line, attributes and groups come to what a vehicle has. Groups that do not exist are made, and
    put into `new_groups`. A dry run finds out the same, and writes nothing.
    """
    # One at a time in a tenant, as enrolments are: only so can no two vehicles take one serial in the same moment.
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    problems: dict[int, Problem] = {}
    batch = Batch(tenant, at, [], {}, fresh_groups=set(new_groups))
    groups = {group.name: group for group in _groups_named(tenant, arrivals)}
    _look(batch, arrivals)
    taken = Taken(tenant, arrivals)
    for arrival in arrivals:
        problem = problem_of(batch, arrival, groups, taken)
        if problem:
            problems[arrival.line] = problem
        else:
            batch.arrivals.append(arrival)
    _write_vehicles(batch)
    _write_ecus(batch)
    _write_tokens(batch)
    _write_codes(batch, taken.codes)
    values = {batch.vehicles[one.vehicle_id].pk: one.attributes for one in batch.arrivals if one.attributes}
    batch.counts.attributes_set = set_attributes_by_key(tenant, values, at=at)
    _write_groups(batch, groups, new_groups)
    batch.counts.lines, batch.counts.refused = len(arrivals), len(problems)
    if is_dry_run:
        transaction.set_rollback(True)
    return batch.counts, list(problems.values())


def _groups_named(tenant: Tenant, arrivals: Sequence[Arrival]) -> Iterable[Group]:
    names = sorted({name for arrival in arrivals for name in arrival.groups})
    return (group for part in parts_of(names) for group in Group.objects.filter(tenant=tenant, name__in=part))


def _look(batch: Batch, arrivals: Sequence[Arrival]) -> None:
    ids = [arrival.vehicle_id for arrival in arrivals]
    for part in parts_of(ids):
        rows = Vehicle.objects.filter(tenant=batch.tenant, vehicle_id__in=part)
        batch.vehicles.update({row.vehicle_id: row for row in rows})
    held: dict[int, list[Ecu]] = defaultdict(list)
    for pks in parts_of([vehicle.pk for vehicle in batch.vehicles.values()]):
        for ecu in Ecu.objects.filter(vehicle__in=pks):
            held[ecu.vehicle_id].append(ecu)
    batch.ecus = dict(held)


def _write_vehicles(batch: Batch) -> None:
    new, changed = [], []
    for arrival in batch.arrivals:
        vehicle = batch.vehicles.get(arrival.vehicle_id)
        if vehicle is None:
            vehicle = Vehicle(tenant=batch.tenant, vehicle_id=arrival.vehicle_id, created_at=batch.at)
            batch.vehicles[arrival.vehicle_id] = vehicle
            new.append(vehicle)
        if _apply(vehicle, arrival, at=batch.at) and vehicle.pk is not None:
            changed.append(vehicle)
    Vehicle.objects.bulk_create(new, batch_size=ROWS)
    columns = ["time_zone", "protocol", "enrolled_at", "is_manifest_wanted"]
    Vehicle.objects.bulk_update(changed, columns, batch_size=ROWS // 4)
    batch.counts.vehicles_created, batch.counts.vehicles_changed = len(new), len(changed)


def _apply(vehicle: Vehicle, arrival: Arrival, *, at: datetime) -> bool:
    """Make a row what its line says, and return whether that changed it."""
    before = (vehicle.time_zone, vehicle.protocol, vehicle.enrolled_at)
    vehicle.time_zone = arrival.time_zone or vehicle.time_zone
    vehicle.protocol = arrival.protocol
    # As keyless.declare_vehicle has it: where nobody proves anything, being known is being enrolled.
    if arrival.protocol == Protocol.DDI and arrival.ecus and vehicle.enrolled_at is None:
        vehicle.enrolled_at, vehicle.is_manifest_wanted = at, True
    return (vehicle.time_zone, vehicle.protocol, vehicle.enrolled_at) != before


def _write_ecus(batch: Batch) -> None:
    gone: list[int] = []
    new: list[Ecu] = []
    changed: list[int] = []
    for arrival in batch.arrivals:
        vehicle = batch.vehicles[arrival.vehicle_id]
        if not arrival.ecus or not batch.has_other_ecus(arrival, vehicle):
            continue
        held = batch.ecus.get(vehicle.pk, [])
        gone += [ecu.pk for ecu in held]
        new += _replaced(batch, arrival, vehicle, held)
        changed.append(vehicle.pk)
    for part in parts_of(gone):
        Ecu.objects.filter(pk__in=part).delete()
    Ecu.objects.bulk_create(new, batch_size=ROWS)
    for pks in parts_of(changed):
        rows = Vehicle.objects.filter(pk__in=pks)
        # As keyless.declare_vehicle has it: an order for what is gone is taken back, and the vehicle judged anew.
        rows.filter(enrolled_at__isnull=False).update(enrolled_at=batch.at, is_manifest_wanted=True)
        refresh_configurations(rows)
    batch.counts.ecus_changed = len(new)


def _replaced(batch: Batch, arrival: Arrival, vehicle: Vehicle, held: Sequence[Ecu]) -> Iterable[Ecu]:
    """Yield a vehicle's ECUs as they shall be; one that keeps serial, hardware and key keeps what it runs."""
    kept = {(ecu.serial, ecu.hardware_id): ecu for ecu in held}
    for ecu in arrival.ecus:
        keyid = batch.keyids.get(ecu.serial, "")
        row = kept.get((ecu.serial, ecu.hardware_id))
        if row is None or keyid not in ("", row.keyid):
            row = Ecu(serial=ecu.serial, hardware_id=ecu.hardware_id, keyid=keyid, public_key=dict(ecu.public_key))
        row.pk, row.vehicle, row.is_primary = None, vehicle, ecu.is_primary
        yield row


def _write_tokens(batch: Batch) -> None:
    wanted = {
        batch.vehicles[one.vehicle_id].pk: shared_tokens.pre_shared_fingerprint(
            batch.vehicles[one.vehicle_id], one.token
        )
        for one in batch.arrivals
        if one.token
    }
    live: set[int] = set()
    others: list[int] = []
    for part in parts_of(list(wanted)):
        rows = Credential.objects.filter(vehicle__in=part, kind=CredentialKind.PRE_SHARED, revoked_at=None)
        for pk, vehicle, fingerprint in rows.values_list("pk", "vehicle_id", "fingerprint"):
            if fingerprint == wanted[vehicle]:
                live.add(vehicle)
            else:
                others.append(pk)
    for part in parts_of(others):
        Credential.objects.filter(pk__in=part).update(revoked_at=batch.at)
    given = [
        Credential(
            vehicle_id=vehicle,
            kind=CredentialKind.PRE_SHARED,
            fingerprint=fingerprint,
            created_at=batch.at,
            expires_at=shared_tokens.NEVER,
        )
        for vehicle, fingerprint in wanted.items()
        if vehicle not in live
    ]
    Credential.objects.bulk_create(
        given,
        batch_size=ROWS,
        # A token that was the vehicle's once is its token again.
        update_conflicts=True,
        unique_fields=["kind", "fingerprint"],
        update_fields=["created_at", "expires_at", "revoked_at", "used_at"],
    )
    batch.counts.tokens_given = len(given)


def _write_codes(batch: Batch, known: Collection[str]) -> None:
    codes = [
        ClaimCode(
            tenant=batch.tenant,
            vehicle_id=arrival.vehicle_id,
            sha256=sha256,
            created_at=batch.at,
            expires_at=batch.at + VALID_FOR,
        )
        for arrival in batch.arrivals
        if arrival.claim_code and (sha256 := rules.claim_code_sha256(arrival.claim_code)) not in known
    ]
    batch.counts.claim_codes = len(ClaimCode.objects.bulk_create(codes, batch_size=ROWS))


def _write_groups(batch: Batch, groups: dict[str, Group], new_groups: set[str]) -> None:
    wanted = {(name, batch.vehicles[one.vehicle_id].pk) for one in batch.arrivals for name in one.groups}
    missing = sorted({name for name, _ in wanted} - groups.keys())
    made = [Group(tenant=batch.tenant, name=name, kind=GroupKind.STATIC, created_at=batch.at) for name in missing]
    groups |= {group.name: group for group in Group.objects.bulk_create(made)}
    # In a dry run each batch makes them anew.
    batch.counts.groups_created = len(set(missing) - new_groups)
    new_groups |= set(missing)
    pairs = {(groups[name].pk, vehicle) for name, vehicle in wanted}
    held: set[tuple[int, int]] = set()
    for part in parts_of(sorted({vehicle for _, vehicle in pairs})):
        held.update(Membership.objects.filter(vehicle__in=part).values_list("group_id", "vehicle_id"))
    joining = [Membership(group_id=group, vehicle_id=vehicle) for group, vehicle in sorted(pairs - held)]
    Membership.objects.bulk_create(joining, batch_size=ROWS, ignore_conflicts=True)
    batch.counts.memberships = len(joining)
