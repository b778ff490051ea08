"""A batch of vehicles that come from elsewhere: what its lines are about, and which of them cannot be taken."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import TypeVar

from otaserver.fleet import rules
from otaserver.fleet.arrival_rules import Arrival, Problem
from otaserver.fleet.credentials import keys
from otaserver.fleet.errors import TokenRefusedError
from otaserver.fleet.models import ClaimCode, Ecu, Group, Vehicle
from otaserver.fleet.operations import shared_tokens
from otaserver.fleet.states import GroupKind, Protocol
from otaserver.tenants.models import Tenant

MAX_NEW_GROUPS = 1000
ROWS = 2000
# Vehicles of these have keys in their ECUs, and prove which ones.
PROVING = (Protocol.UPTANE, Protocol.AKTUALIZR)
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
class Batch:
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


class Taken:
    """Which serials and claim codes of a batch are somebody's already, and whose."""

    def __init__(self, tenant: Tenant, arrivals: Sequence[Arrival]) -> None:
        serials = [ecu.serial for arrival in arrivals for ecu in arrival.ecus]
        codes = [rules.claim_code_sha256(arrival.claim_code) for arrival in arrivals if arrival.claim_code]
        self.serials: dict[str, str] = {}
        for part in parts_of(serials):
            rows = Ecu.objects.filter(serial__in=part, vehicle__tenant=tenant)
            self.serials.update(rows.values_list("serial", "vehicle__vehicle_id"))
        self.codes: dict[str, tuple[int, str]] = {}
        for part in parts_of(codes):
            found = ClaimCode.objects.filter(sha256__in=part).values_list("sha256", "tenant_id", "vehicle_id")
            self.codes.update({sha256: (tenant_id, vehicle_id) for sha256, tenant_id, vehicle_id in found})


def problem_of(batch: Batch, arrival: Arrival, groups: Mapping[str, Group], taken: Taken) -> Problem | None:
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


def _too_many_groups(batch: Batch, arrival: Arrival, groups: Mapping[str, Group]) -> Problem | None:
    fresh = batch.fresh_groups | {name for name in arrival.groups if name not in groups}
    if len(fresh) > max(MAX_NEW_GROUPS, len(batch.fresh_groups)):
        return Problem(arrival.line, "group.too_many", "", f"A file makes at most {MAX_NEW_GROUPS} groups.")
    batch.fresh_groups = fresh
    return None


def _key_problem(batch: Batch, arrival: Arrival) -> Problem | None:
    keyids = {}
    for ecu in arrival.ecus:
        if not ecu.public_key:
            continue
        refused = keys.key_problem(ecu.public_key)
        if arrival.protocol not in PROVING:
            refused = f"ECUs have no keys in the protocol {arrival.protocol}."
        if refused:
            return Problem(arrival.line, "ecu.key_refused", ecu.serial, refused)
        keyids[ecu.serial] = keys.keyid_of(ecu.public_key)
    if len(set(keyids.values())) != len(keyids):
        return Problem(arrival.line, "ecu.refused", "", "Two ECUs of a vehicle have the same key.")
    batch.keyids.update(keyids)
    return None


def _vehicle_problem(batch: Batch, arrival: Arrival) -> Problem | None:
    vehicle = batch.vehicles.get(arrival.vehicle_id)
    if vehicle is not None and vehicle.decommissioned_at is not None:
        rule = "The vehicle was decommissioned; take it back first (`vehicle recommission`)."
        return Problem(arrival.line, "vehicle.decommissioned", "", rule)
    if vehicle is None or vehicle.enrolled_at is None:
        return None
    if vehicle.protocol != arrival.protocol:
        rule = f"The vehicle has enrolled, and speaks {vehicle.protocol}."
        return Problem(arrival.line, "vehicle.other_protocol", arrival.protocol, rule)
    if arrival.ecus and vehicle.protocol in PROVING and batch.has_other_ecus(arrival, vehicle):
        rule = "The vehicle has enrolled with other ECUs or keys; it changes them itself, with a new claim code."
        return Problem(arrival.line, "vehicle.enrolled", "", rule)
    return None


def parts_of(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[start : start + ROWS] for start in range(0, len(items), ROWS))
