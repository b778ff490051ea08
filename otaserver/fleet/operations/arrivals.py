"""Vehicles that come from elsewhere, a batch at a time: what is there already stays, and is not written again."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction

from otaserver.fleet import rules
from otaserver.fleet.arrival_rules import Arrival, Problem
from otaserver.fleet.credentials import keys
from otaserver.fleet.errors import TokenRefusedError
from otaserver.fleet.models import ClaimCode, Credential, Ecu, Group, Membership, Vehicle
from otaserver.fleet.operations import shared_tokens
from otaserver.fleet.operations.attributes import set_attributes_by_key
from otaserver.fleet.operations.claims import VALID_FOR
from otaserver.fleet.operations.configurations import refresh_configurations
from otaserver.fleet.states import CredentialKind, GroupKind, Protocol
from otaserver.tenants.models import Tenant

MAX_NEW_GROUPS = 1000
_BATCH = 2000
# Vehicles of these have keys in their ECUs, and prove which ones.
_PROVING = (Protocol.UPTANE, Protocol.AKTUALIZR)
EcuKey = tuple[str, str, bool, str]
Item = TypeVar("Item")


@dataclass
class Counts:
    """What a file did, or would do. `lines` are those that speak of a vehicle, `refused` those left out."""

    lines: int = 0
    refused: int = 0
    vehicles_created: int = 0
    vehicles_changed: int = 0
    ecus_changed: int = 0
    tokens_given: int = 0
    claim_codes: int = 0
    attributes_set: int = 0
    memberships: int = 0
    groups_created: int = 0

    @property
    def changes(self) -> int:
        """How much was, or would be, written: 0 for a file that has been taken in before."""
        return sum(count for name, count in asdict(self).items() if name not in ("lines", "refused"))

    def add(self, other: "Counts") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass
class _Batch:
    """The good lines of a batch, and the rows that they are about."""

    tenant: Tenant
    at: datetime
    arrivals: list[Arrival]
    keyids: dict[str, str]
    counts: Counts = field(default_factory=Counts)
    # Groups that do not exist before this file, those of earlier batches included.
    fresh_groups: set[str] = field(default_factory=set)
    vehicles: dict[str, Vehicle] = field(default_factory=dict)
    ecus: dict[int, list[Ecu]] = field(default_factory=dict)

    def wanted(self, arrival: Arrival) -> list[EcuKey]:
        return [(ecu.serial, ecu.hardware_id, ecu.is_primary, self.keyids.get(ecu.serial, "")) for ecu in arrival.ecus]

    def has_other_ecus(self, arrival: Arrival, vehicle: Vehicle) -> bool:
        """Return whether a vehicle's ECUs are others; a key that the file does not tell is no difference."""
        held = {ecu.serial: (ecu.hardware_id, ecu.is_primary, ecu.keyid) for ecu in self.ecus.get(vehicle.pk, [])}
        wanted = self.wanted(arrival)
        return len(held) != len(wanted) or any(
            serial not in held or held[serial][:2] != (hardware_id, is_primary) or keyid not in ("", held[serial][2])
            for serial, hardware_id, is_primary, keyid in wanted
        )


@transaction.atomic
def take_in(
    tenant: Tenant,
    arrivals: Sequence[Arrival],
    *,
    new_groups: set[str],
    at: datetime,
    is_dry_run: bool = False,
    claims_valid_for: timedelta = VALID_FOR,
) -> tuple[Counts, list[Problem]]:
    """Make these vehicles known, with all that their lines say; return what that changed, and which lines it left out.

    The lines name each vehicle, serial and code once. What is there already stays; ECUs, time zone, protocol and token
    become those of the line, attributes and groups come to what a vehicle has. Groups that do not exist are made, and
    put into `new_groups`. A dry run finds out the same, and writes nothing.
    """
    # One at a time in a tenant, as enrolments are: only so can no two vehicles take one serial in the same moment.
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    problems: dict[int, Problem] = {}
    batch = _Batch(tenant, at, [], {}, fresh_groups=set(new_groups))
    groups = {group.name: group for group in _groups_named(tenant, arrivals)}
    _look(batch, arrivals)
    taken = _Taken(tenant, arrivals)
    for arrival in arrivals:
        problem = _problem(batch, arrival, groups, taken)
        if problem:
            problems[arrival.line] = problem
        else:
            batch.arrivals.append(arrival)
    _write_vehicles(batch)
    _write_ecus(batch)
    _write_tokens(batch)
    _write_codes(batch, taken.codes, valid_for=claims_valid_for)
    values = {batch.vehicles[one.vehicle_id].pk: one.attributes for one in batch.arrivals if one.attributes}
    batch.counts.attributes_set = set_attributes_by_key(tenant, values, at=at)
    _write_groups(batch, groups, new_groups)
    batch.counts.lines, batch.counts.refused = len(arrivals), len(problems)
    if is_dry_run:
        transaction.set_rollback(True)
    return batch.counts, list(problems.values())


class _Taken:
    """Which serials and claim codes of a batch are somebody's already, and whose."""

    def __init__(self, tenant: Tenant, arrivals: Sequence[Arrival]) -> None:
        serials = [ecu.serial for arrival in arrivals for ecu in arrival.ecus]
        codes = [rules.claim_code_sha256(arrival.claim_code) for arrival in arrivals if arrival.claim_code]
        self.serials: dict[str, str] = {}
        for part in _parts(serials):
            rows = Ecu.objects.filter(serial__in=part, vehicle__tenant=tenant)
            self.serials.update(rows.values_list("serial", "vehicle__vehicle_id"))
        self.codes: dict[str, tuple[int, str]] = {}
        for part in _parts(codes):
            found = ClaimCode.objects.filter(sha256__in=part).values_list("sha256", "tenant_id", "vehicle_id")
            self.codes.update({sha256: (tenant_id, vehicle_id) for sha256, tenant_id, vehicle_id in found})


def _groups_named(tenant: Tenant, arrivals: Sequence[Arrival]) -> Iterable[Group]:
    names = sorted({name for arrival in arrivals for name in arrival.groups})
    return (group for part in _parts(names) for group in Group.objects.filter(tenant=tenant, name__in=part))


def _look(batch: _Batch, arrivals: Sequence[Arrival]) -> None:
    ids = [arrival.vehicle_id for arrival in arrivals]
    for part in _parts(ids):
        rows = Vehicle.objects.filter(tenant=batch.tenant, vehicle_id__in=part)
        batch.vehicles.update({row.vehicle_id: row for row in rows})
    held: dict[int, list[Ecu]] = defaultdict(list)
    for pks in _parts([vehicle.pk for vehicle in batch.vehicles.values()]):
        for ecu in Ecu.objects.filter(vehicle__in=pks):
            held[ecu.vehicle_id].append(ecu)
    batch.ecus = dict(held)


def _problem(batch: _Batch, arrival: Arrival, groups: Mapping[str, Group], taken: _Taken) -> Problem | None:
    code = rules.claim_code_sha256(arrival.claim_code) if arrival.claim_code else ""
    if taken.codes.get(code, (batch.tenant.pk, arrival.vehicle_id)) != (batch.tenant.pk, arrival.vehicle_id):
        return Problem(arrival.line, "claim.taken", "", "The claim code is another vehicle's.")
    for ecu in arrival.ecus:
        if taken.serials.get(ecu.serial, arrival.vehicle_id) != arrival.vehicle_id:
            return Problem(arrival.line, "ecu.serial_taken", ecu.serial, "Another vehicle has the ECU already.")
    fixed = [name for name in arrival.groups if name in groups and groups[name].kind != GroupKind.STATIC]
    if fixed:
        return Problem(arrival.line, "group.dynamic", fixed[0], "Its filter says which vehicles are in it.")
    if arrival.token:
        try:
            shared_tokens.check_token(arrival.token)
        except TokenRefusedError as error:
            return Problem(arrival.line, error.code, "", error.message)
    return _key_problem(batch, arrival) or _vehicle_problem(batch, arrival) or _too_many_groups(batch, arrival, groups)


def _too_many_groups(batch: _Batch, arrival: Arrival, groups: Mapping[str, Group]) -> Problem | None:
    fresh = batch.fresh_groups | {name for name in arrival.groups if name not in groups}
    if len(fresh) > max(MAX_NEW_GROUPS, len(batch.fresh_groups)):
        return Problem(arrival.line, "group.too_many", "", f"A file makes at most {MAX_NEW_GROUPS} groups.")
    batch.fresh_groups = fresh
    return None


def _key_problem(batch: _Batch, arrival: Arrival) -> Problem | None:
    keyids = {}
    for ecu in arrival.ecus:
        if not ecu.public_key:
            continue
        refused = keys.key_problem(ecu.public_key)
        if arrival.protocol not in _PROVING:
            refused = f"ECUs have no keys in the protocol {arrival.protocol}."
        if refused:
            return Problem(arrival.line, "ecu.key_refused", ecu.serial, refused)
        keyids[ecu.serial] = keys.keyid_of(ecu.public_key)
    if len(set(keyids.values())) != len(keyids):
        return Problem(arrival.line, "ecu.refused", "", "Two ECUs of a vehicle have the same key.")
    batch.keyids.update(keyids)
    return None


def _vehicle_problem(batch: _Batch, arrival: Arrival) -> Problem | None:
    vehicle = batch.vehicles.get(arrival.vehicle_id)
    if vehicle is None or vehicle.enrolled_at is None:
        return None
    if vehicle.protocol != arrival.protocol:
        rule = f"The vehicle has enrolled, and speaks {vehicle.protocol}."
        return Problem(arrival.line, "vehicle.other_protocol", arrival.protocol, rule)
    if arrival.ecus and vehicle.protocol in _PROVING and batch.has_other_ecus(arrival, vehicle):
        rule = "The vehicle has enrolled with other ECUs or keys; it changes them itself, with a new claim code."
        return Problem(arrival.line, "vehicle.enrolled", "", rule)
    return None


def _write_vehicles(batch: _Batch) -> None:
    new, changed = [], []
    for arrival in batch.arrivals:
        vehicle = batch.vehicles.get(arrival.vehicle_id)
        if vehicle is None:
            vehicle = Vehicle(tenant=batch.tenant, vehicle_id=arrival.vehicle_id, created_at=batch.at)
            batch.vehicles[arrival.vehicle_id] = vehicle
            new.append(vehicle)
        if _apply(vehicle, arrival, at=batch.at) and vehicle.pk is not None:
            changed.append(vehicle)
    Vehicle.objects.bulk_create(new, batch_size=_BATCH)
    columns = ["time_zone", "protocol", "enrolled_at", "is_manifest_wanted"]
    Vehicle.objects.bulk_update(changed, columns, batch_size=_BATCH // 4)
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


def _write_ecus(batch: _Batch) -> None:
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
    for part in _parts(gone):
        Ecu.objects.filter(pk__in=part).delete()
    Ecu.objects.bulk_create(new, batch_size=_BATCH)
    for pks in _parts(changed):
        refresh_configurations(Vehicle.objects.filter(pk__in=pks))
    batch.counts.ecus_changed = len(new)


def _replaced(batch: _Batch, arrival: Arrival, vehicle: Vehicle, held: Sequence[Ecu]) -> Iterable[Ecu]:
    """Yield a vehicle's ECUs as they shall be; one that keeps serial, hardware and key keeps what it runs."""
    kept = {(ecu.serial, ecu.hardware_id): ecu for ecu in held}
    for ecu in arrival.ecus:
        keyid = batch.keyids.get(ecu.serial, "")
        row = kept.get((ecu.serial, ecu.hardware_id))
        if row is None or keyid not in ("", row.keyid):
            row = Ecu(serial=ecu.serial, hardware_id=ecu.hardware_id, keyid=keyid, public_key=dict(ecu.public_key))
        row.pk, row.vehicle, row.is_primary = None, vehicle, ecu.is_primary
        yield row


def _write_tokens(batch: _Batch) -> None:
    wanted = {
        batch.vehicles[one.vehicle_id].pk: shared_tokens.pre_shared_fingerprint(
            batch.vehicles[one.vehicle_id], one.token
        )
        for one in batch.arrivals
        if one.token
    }
    live: set[int] = set()
    others: list[int] = []
    for part in _parts(list(wanted)):
        rows = Credential.objects.filter(vehicle__in=part, kind=CredentialKind.PRE_SHARED, revoked_at=None)
        for pk, vehicle, fingerprint in rows.values_list("pk", "vehicle_id", "fingerprint"):
            if fingerprint == wanted[vehicle]:
                live.add(vehicle)
            else:
                others.append(pk)
    for part in _parts(others):
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
        batch_size=_BATCH,
        # A token that was the vehicle's once is its token again.
        update_conflicts=True,
        unique_fields=["kind", "fingerprint"],
        update_fields=["created_at", "expires_at", "revoked_at", "used_at"],
    )
    batch.counts.tokens_given = len(given)


def _write_codes(batch: _Batch, known: Collection[str], *, valid_for: timedelta) -> None:
    codes = [
        ClaimCode(
            tenant=batch.tenant,
            vehicle_id=arrival.vehicle_id,
            sha256=sha256,
            created_at=batch.at,
            expires_at=batch.at + valid_for,
        )
        for arrival in batch.arrivals
        if arrival.claim_code and (sha256 := rules.claim_code_sha256(arrival.claim_code)) not in known
    ]
    batch.counts.claim_codes = len(ClaimCode.objects.bulk_create(codes, batch_size=_BATCH))


def _write_groups(batch: _Batch, groups: dict[str, Group], new_groups: set[str]) -> None:
    wanted = {(name, batch.vehicles[one.vehicle_id].pk) for one in batch.arrivals for name in one.groups}
    missing = sorted({name for name, _ in wanted} - groups.keys())
    made = [Group(tenant=batch.tenant, name=name, kind=GroupKind.STATIC, created_at=batch.at) for name in missing]
    groups |= {group.name: group for group in Group.objects.bulk_create(made)}
    # In a dry run each batch makes them anew.
    batch.counts.groups_created = len(set(missing) - new_groups)
    new_groups |= set(missing)
    pairs = {(groups[name].pk, vehicle) for name, vehicle in wanted}
    held: set[tuple[int, int]] = set()
    for part in _parts(sorted({vehicle for _, vehicle in pairs})):
        held.update(Membership.objects.filter(vehicle__in=part).values_list("group_id", "vehicle_id"))
    joining = [Membership(group_id=group, vehicle_id=vehicle) for group, vehicle in sorted(pairs - held)]
    Membership.objects.bulk_create(joining, batch_size=_BATCH, ignore_conflicts=True)
    batch.counts.memberships = len(joining)


def _parts(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
