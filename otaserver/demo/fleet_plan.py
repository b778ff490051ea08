"""The demo's hundred vehicles: three ECUs each, one in five with the gateway's second hardware revision."""

from collections.abc import Mapping
from pathlib import Path

from clients.fleet.behaviour import Behaviour
from clients.fleet.habits import USUAL, Habits
from clients.fleet.plan import FleetPlan, PlannedEcu, PlannedVehicle
from otaserver.demo.firmware import Firmware

ROLE = "demo-supplier"
PRODUCT = "city-car"
HARDWARE: Mapping[str, tuple[str, ...]] = {
    "gateway": ("gateway-a", "gateway-b"),
    "cluster": ("cluster",),
    "radio": ("radio",),
}
BAD_REVISION = "gateway-b"
POLLING_SECONDS = 2


def target_name(ecu: str, version: str) -> str:
    return f"{ROLE}/{ecu}-{version}"


def release_label(version: str) -> str:
    return f"{PRODUCT} {version}"


def vehicle_ids(count: int) -> list[str]:
    return [f"DEMO{number:05}" for number in range(1, count + 1)]


def plan_fleet(
    claim_codes: Mapping[str, str],
    *,
    factory: Firmware,
    versions: tuple[str, ...],
    behaviours: Mapping[str, Behaviour],
    roots: Path,
    polling_seconds: float = POLLING_SECONDS,
    seed: int = 1,
    habits: Habits = USUAL,
) -> FleetPlan:
    """Return the plan: every vehicle on the first of `versions`, and what goes wrong by release."""
    return FleetPlan(
        tenant="default",
        director_root=str(roots / "director-root.tuf-1.0.json"),
        image_root=str(roots / "image-root.tuf-1.0.json"),
        vehicles=tuple(
            _vehicle(vehicle_id, code, number, factory, versions[0])
            for number, (vehicle_id, code) in enumerate(sorted(claim_codes.items()))
        ),
        seed=seed,
        polling_seconds=polling_seconds,
        behaviours=behaviours,
        habits=habits,
        releases={release_label(version): tuple(target_name(ecu, version) for ecu in HARDWARE) for version in versions},
    )


def _vehicle(vehicle_id: str, code: str, number: int, factory: Firmware, version: str) -> PlannedVehicle:
    gateway = BAD_REVISION if number % 5 == 4 else "gateway-a"
    ecus = tuple(
        PlannedEcu(
            serial=f"{vehicle_id}-{ecu}",
            hardware_id=gateway if ecu == "gateway" else ecu,
            is_primary=ecu == "gateway",
            # The radio is small: it checks the Director's signature alone (Uptane 5.4.4.1, partial verification).
            verification="partial" if ecu == "radio" else "full",
            target_name=target_name(ecu, version),
            image=str(factory.files[ecu]),
        )
        for ecu in HARDWARE
    )
    return PlannedVehicle(vehicle_id, code, ecus)
