"""The demo's figures: each from the database, from the vehicles' signed manifests, or from their own disks."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.fleet.report import FleetReport, read_fleet
from firmware_store.trust import primitives
from otaserver.audit import queries as audit
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.states import AssignmentState, CampaignKind
from otaserver.director.models import Manifest
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.tenants.models import Tenant

Software = Mapping[str, tuple[str, str]]  # ECU serial -> target name, SHA-256


@dataclass(frozen=True)
class Summary:
    """What the three sources say, and where they disagree (sentences; none is good)."""

    by_release: Mapping[str, int]
    campaigns: Sequence[tuple[str, str, Mapping[str, int], str]]  # name, state, assignments by state, reason
    manifests: int
    disagreements: Sequence[str]


def summarize(tenant: Tenant, folder: Path, releases: Mapping[str, Sequence[str]], *, expected: str) -> Summary:
    """Compare disks, database and signed manifests vehicle by vehicle; all should run `expected`."""
    disks = read_fleet(folder, releases)
    stored, signed = _stored(tenant), _signed(tenant)
    problems = _disagreements(disks, stored, signed, expected)
    if len(disks.vehicles) != Vehicle.objects.of(tenant).count():
        problems.append(f"{len(disks.vehicles)} vehicles have a disk, {Vehicle.objects.of(tenant).count()} a row.")
    problems += _unfinished(tenant)
    broken = audit.first_break(tenant)
    if broken is not None:
        problems.append(f"The audit chain breaks at entry {broken}.")
    return Summary(disks.by_release, _campaigns(tenant), _manifest_count(tenant), problems)


def _disagreements(
    disks: FleetReport, stored: Mapping[str, Software], signed: Mapping[str, Software], expected: str
) -> list[str]:
    problems = [f"{vehicle_id}: its disk does not hold what it says." for vehicle_id in disks.unsound]
    for vehicle in disks.vehicles:
        name = vehicle.vehicle_id
        database = {serial: target for serial, (target, _) in stored.get(name, {}).items()}
        if vehicle.release != expected:
            problems.append(f"{name}: its disk starts {vehicle.release}, not {expected}.")
        if database != vehicle.targets:
            problems.append(f"{name}: the database says {database}, its disk {dict(vehicle.targets)}.")
        if signed.get(name) != stored.get(name):
            problems.append(
                f"{name}: its last signed manifest says {signed.get(name)}, the database {stored.get(name)}."
            )
    return problems


def _stored(tenant: Tenant) -> dict[str, dict[str, tuple[str, str]]]:
    found: dict[str, dict[str, tuple[str, str]]] = {}
    rows = Ecu.objects.filter(vehicle__tenant=tenant).values_list(
        "vehicle__vehicle_id", "serial", "installed_target", "installed_sha256"
    )
    for vehicle_id, serial, target, sha256 in rows:
        found.setdefault(vehicle_id, {})[serial] = (target, sha256)
    return found


def _signed(tenant: Tenant) -> dict[str, dict[str, tuple[str, str]]]:
    """Read each vehicle's last accepted manifest, keeping what the ECUs' own signatures hold for."""
    keys = {
        (vehicle_id, serial): key
        for vehicle_id, serial, key in Ecu.objects.filter(vehicle__tenant=tenant).values_list(
            "vehicle__vehicle_id", "serial", "public_key"
        )
    }
    found: dict[str, dict[str, tuple[str, str]]] = {}
    rows = Manifest.objects.filter(vehicle__tenant=tenant, is_accepted=True).order_by("received_at", "pk")
    for vehicle_id, body in rows.values_list("vehicle__vehicle_id", "body"):
        reports = json.loads(bytes(body))["signed"]["ecu_version_manifests"]
        found[vehicle_id] = {
            serial: _claimed(report)
            for serial, report in reports.items()
            if _is_signed(report, keys.get((vehicle_id, serial)))
        }
    return found


def _claimed(report: Mapping[str, object]) -> tuple[str, str]:
    image = report["signed"]["installed_image"]  # type: ignore[index]
    return image["filepath"], image["fileinfo"]["hashes"]["sha256"]


def _is_signed(report: Mapping[str, object], key: Mapping[str, object] | None) -> bool:
    data = primitives.canonical(report["signed"])
    signatures: Sequence[Mapping[str, str]] = report["signatures"]  # type: ignore[assignment]
    return key is not None and any(primitives.verify(key, bytes.fromhex(each["sig"]), data) for each in signatures)


def _unfinished(tenant: Tenant) -> list[str]:
    """Name the roll-back campaigns that did not reach everybody."""
    return [
        f"{campaign}: {state} {count} instead of succeeded."
        for campaign in Campaign.objects.filter(tenant=tenant, kind=CampaignKind.ROLLBACK)
        for state, count in _states(campaign).items()
        if state != AssignmentState.SUCCEEDED
    ]


def _campaigns(tenant: Tenant) -> list[tuple[str, str, Mapping[str, int], str]]:
    campaigns = Campaign.objects.filter(tenant=tenant).order_by("created_at")
    return [(campaign.name, campaign.state, _states(campaign), campaign.reason) for campaign in campaigns]


def _states(campaign: Campaign) -> Mapping[str, int]:
    return Counter(Assignment.objects.filter(campaign=campaign).values_list("state", flat=True))


def _manifest_count(tenant: Tenant) -> int:
    return Manifest.objects.filter(vehicle__tenant=tenant, is_accepted=True).count()
