"""A simulated fleet as a file: which vehicles, which ECUs, what they run at first, what goes wrong."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from clients.fleet.behaviour import Behaviour
from clients.fleet.habits import USUAL, Habits


@dataclass(frozen=True)
class PlannedEcu:
    """One ECU; `image` is the file of its factory software, `target_name` what that is called."""

    serial: str
    hardware_id: str
    is_primary: bool = False
    verification: Literal["full", "partial"] = "full"
    target_name: str = ""
    image: str = ""
    release_counter: int = 0


@dataclass(frozen=True)
class PlannedVehicle:
    vehicle_id: str
    claim_code: str
    ecus: tuple[PlannedEcu, ...]


@dataclass(frozen=True)
class FleetPlan:
    """`releases` names the target names of each release, so that a report can say what a vehicle runs."""

    tenant: str
    director_root: str
    image_root: str
    vehicles: tuple[PlannedVehicle, ...]
    seed: int = 1
    polling_seconds: float = 60.0
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    releases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    habits: Habits = USUAL


class PlanError(ValueError):
    """The plan's file cannot be used; the message says where and why."""


def save_plan(plan: FleetPlan, path: Path) -> None:
    path.write_text(json.dumps(asdict(plan), indent=1))


def load_plan(path: Path) -> FleetPlan:
    """Read a plan. Raises PlanError with the key that is missing, unknown or wrong."""
    try:
        document = json.loads(path.read_text())
        return _build(document)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PlanError(f"{path}: {error!s}") from error


def _build(document: dict[str, Any]) -> FleetPlan:
    vehicles = tuple(
        PlannedVehicle(
            vehicle["vehicle_id"], vehicle["claim_code"], tuple(PlannedEcu(**ecu) for ecu in vehicle["ecus"])
        )
        for vehicle in document.pop("vehicles")
    )
    behaviours = {
        release: Behaviour(**{**fields, "failing_hardware": tuple(fields.get("failing_hardware", ()))})
        for release, fields in document.pop("behaviours", {}).items()
    }
    releases = {release: tuple(targets) for release, targets in document.pop("releases", {}).items()}
    stated = document.pop("habits", {})
    habits = Habits(**{**stated, "zones": tuple(stated.get("zones", USUAL.zones))})
    return FleetPlan(vehicles=vehicles, behaviours=behaviours, releases=releases, habits=habits, **document)
