"""Campaigns and fleets for these tests, and the vehicles' half of a journey in one call."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from firmware_store.models import Package, Release
from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Attempt, Campaign
from otaserver.campaigns.operations import CampaignPlan, VehicleReport, WavePlan
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.operations import refresh_configuration, refresh_configurations
from otaserver.tenants.models import Tenant
from tests import snapshots
from tests.factories import NOON, make_group, make_package, make_release, make_tenant, make_vehicle

SOAK = timedelta(hours=8)
HARDWARE = ("gateway", "brake")
PLAIN = (bool, int, float, str, tuple, timedelta, datetime, Decimal, type(None))


def at(**delta: float) -> datetime:
    """Return that long after noon."""
    return NOON + timedelta(**delta)


def make_versions(tenant: Tenant, version: str = "1.0", hardware: tuple[str, ...] = HARDWARE, **fields: Any) -> Release:
    """A release with a package for each hardware id."""
    packages = [make_package(tenant, hw, version, hardware_ids=(hw,), **fields) for hw in hardware]
    return make_release(tenant, *packages, name=fields.get("role", "car"), version=version)


def install(vehicle: Vehicle, release: Release) -> None:
    """Let the vehicle's ECUs have proved that they run this release."""
    for item in release.items.select_related("package"):
        ecus = vehicle.ecus.filter(hardware_id__in=item.package.hardware_ids)
        ecus.update(installed_target=item.package.target_name, installed_sha256=item.package.sha256)
    Vehicle.objects.filter(pk=vehicle.pk).update(confirmed_at=NOON)
    refresh_configuration(vehicle)
    vehicle.refresh_from_db()


def run(ecu: Ecu, package: Package) -> None:
    Ecu.objects.filter(pk=ecu.pk).update(installed_target=package.target_name, installed_sha256=package.sha256)
    refresh_configuration(ecu.vehicle)


def make_fleet(tenant: Tenant, count: int, release: Release, hardware: tuple[str, ...] = HARDWARE) -> list[Vehicle]:
    made = [make_vehicle(tenant, hardware=hardware).pk for _ in range(count)]
    vehicles = Vehicle.objects.filter(pk__in=made)
    for item in release.items.select_related("package"):
        ecus = Ecu.objects.filter(vehicle__in=made, hardware_id__in=item.package.hardware_ids)
        ecus.update(installed_target=item.package.target_name, installed_sha256=item.package.sha256)
    vehicles.update(confirmed_at=NOON)
    refresh_configurations(vehicles)
    return list(vehicles.order_by("pk"))


def make_campaign(
    vehicles: int = 4, waves: tuple[float, ...] = (100,), wave_failures: int = 0, **plan: Any
) -> Campaign:
    """A draft that brings release 2.0 to a group of vehicles on 1.0, with 1.0 as the way back."""
    tenant = plan.pop("tenant", None) or make_tenant()
    old = plan.pop("old", None) or make_versions(tenant)
    new = plan.pop("release", None) or make_versions(tenant, "2.0")
    group = plan.pop("group", None) or make_group(tenant, *make_fleet(tenant, vehicles, old))
    values: dict[str, Any] = {"name": "spring", "fallback_release": old} | plan
    return operations.create_campaign(
        tenant,
        CampaignPlan(
            release=new,
            group=group,
            waves=[WavePlan(Decimal(str(percent)), wave_failures) for percent in waves],
            **values,
        ),
        by="alice",
        at=NOON,
    )


def is_plain(value: Any) -> bool:
    """Return whether it is known again by how it is written; rows are not."""
    return isinstance(value, PLAIN)


def _once(make: Callable[..., Campaign], *args: Any, **plan: Any) -> Campaign:
    """Make a campaign by itself once a process: hundreds of tests begin with one of a few."""
    if not all(is_plain(value) for value in [*args, *plan.values()]):
        return make(*args, **plan)
    campaign: Campaign = snapshots.once((make.__name__, repr(args), repr(plan)), lambda: make(*args, **plan))
    return campaign


def make_approved(*args: Any, **plan: Any) -> Campaign:
    return _once(_make_approved, *args, **plan)


def make_started(*args: Any, **plan: Any) -> Campaign:
    return _once(_make_started, *args, **plan)


def make_running(*args: Any, **plan: Any) -> Campaign:
    """A campaign whose first wave is offered, at noon."""
    return _once(_make_running, *args, **plan)


def _make_approved(*args: Any, **plan: Any) -> Campaign:
    campaign = make_campaign(*args, **plan)
    operations.submit_campaign(campaign, by="alice", at=NOON)
    operations.approve_campaign(campaign, by="bob", at=NOON)
    return campaign


def _make_started(*args: Any, **plan: Any) -> Campaign:
    campaign = _make_approved(*args, **plan)
    operations.start_campaign(campaign, by="alice", at=NOON)
    return campaign


def _make_running(*args: Any, **plan: Any) -> Campaign:
    campaign = _make_started(*args, **plan)
    tick(campaign)
    return campaign


def tick(campaign: Campaign, at: datetime = NOON) -> None:
    while operations.advance_campaign(campaign.pk, at=at):
        pass
    campaign.refresh_from_db()


def in_turn(campaign: Campaign, state: str | None = None) -> list[Assignment]:
    """The campaign's assignments by rank, those in a state if one is given."""
    rows = campaign.assignments.select_related("vehicle").order_by("rank")
    return list(rows if state is None else rows.filter(state=state))


def states(campaign: Campaign) -> list[str]:
    return [assignment.state for assignment in in_turn(campaign)]


def attempt_of(assignment: Assignment) -> Attempt:
    return assignment.attempts.order_by("-number")[0]


def report(
    assignment: Assignment,
    phase: str,
    outcome: str = "none",
    code: str = "",
    *,
    can_prove: bool = True,
    at: datetime = NOON,
) -> None:
    vehicle = Vehicle.objects.get(pk=assignment.vehicle_id)
    said = VehicleReport(attempt_of(assignment).pk, str(uuid.uuid4()), phase, outcome, code=code)
    operations.record_report(vehicle, said, can_prove=can_prove, at=at)
    assignment.refresh_from_db()


def serials(vehicle: Vehicle) -> set[str]:
    """All its ECUs, as a whole manifest speaks of them."""
    return set(vehicle.ecus.values_list("serial", flat=True))


def prove(assignment: Assignment, release: Release, *, at: datetime = NOON) -> None:
    """Let the vehicle send a manifest that proves it runs this release."""
    vehicle = Vehicle.objects.get(pk=assignment.vehicle_id)
    install(vehicle, release)
    Vehicle.objects.filter(pk=vehicle.pk).update(confirmed_at=at)
    operations.record_evidence(vehicle, proved=serials(vehicle), report=None, at=at)
    assignment.refresh_from_db()


def succeed(assignment: Assignment, *, at: datetime = NOON) -> None:
    """Install the campaign's release and prove it; what remains is the soak."""
    report(assignment, "installing", at=at)
    prove(assignment, assignment.campaign.release, at=at)


def fail(assignment: Assignment, code: str = "health_failed", *, at: datetime = NOON) -> None:
    report(assignment, "installing", at=at)
    report(assignment, "finished", "failure", code, at=at)


@contextmanager
def undone() -> Iterator[None]:
    """Roll back what happens inside: a state that took long to reach serves several times."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
