"""Releases with health signals, and vehicles that report them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from firmware_store.models import Release, ReleaseSignal
from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Campaign
from tests.campaigns.campaign_factories import HARDWARE, make_started, make_versions
from tests.factories import NOON, make_tenant


def add_signals(release: Release, *, rates: tuple[float, float] = (0.005, 0.02), **limits: float) -> Release:
    ReleaseSignal.objects.bulk_create(
        ReleaseSignal(release=release, name=name, limit=limit, acceptable_rate=rates[0], unacceptable_rate=rates[1])
        for name, limit in limits.items()
    )
    return release


def start_with_signals(vehicles: int, *, limits: dict[str, float], control: int = 0, **plan: Any) -> Campaign:
    """A started campaign of a release that states these signals; `control` percent are held out."""
    tenant = make_tenant()
    release = add_signals(make_versions(tenant, "2.0", HARDWARE), **limits)
    return make_started(vehicles=vehicles, tenant=tenant, release=release, control_percent=Decimal(control), **plan)


def say(assignment: Assignment, *, at: datetime = NOON, **signals: float) -> list[str]:
    return operations.record_health(assignment.vehicle, signals, at=at)
