"""What vehicles say of their attempts, before anything is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from otaserver.campaigns.states import ReportOutcome
from otaserver.fleet.models import Vehicle


@dataclass(frozen=True)
class VehicleReport:
    """What a vehicle said of an attempt, in protocol-neutral words. `attempt` is its UUID or its number."""

    attempt: UUID | int
    report_id: str
    phase: str
    outcome: str = ReportOutcome.NONE
    ecu_serial: str = ""
    code: str = ""
    message: str = ""
    progress: int | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)
    device_time: datetime | None = None


@dataclass(frozen=True)
class Told:
    """One report, whose it is, and when it came; `can_prove` as in `record_report`."""

    vehicle: Vehicle
    report: VehicleReport
    can_prove: bool
    at: datetime


def clean(text: str) -> str:
    """Return a text as every database stores it: PostgreSQL takes no NUL."""
    return text.replace("\0", "")
