"""What a simulated fleet runs, read from the vehicles' own disks and nothing else."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MIXTURE = "a mixture"


@dataclass(frozen=True)
class VehicleDisk:
    """One vehicle: the release it starts, which target each ECU starts, and whether those bytes are what they claim."""

    vehicle_id: str
    release: str
    targets: Mapping[str, str]
    is_sound: bool


@dataclass(frozen=True)
class FleetReport:
    vehicles: Sequence[VehicleDisk]

    @property
    def by_release(self) -> Mapping[str, int]:
        """Count the vehicles that start each release."""
        return Counter(vehicle.release for vehicle in self.vehicles)

    @property
    def unsound(self) -> Sequence[str]:
        """Name the vehicles whose disk does not hold what it says."""
        return [vehicle.vehicle_id for vehicle in self.vehicles if not vehicle.is_sound]


def read_fleet(folder: Path, releases: Mapping[str, Sequence[str]]) -> FleetReport:
    """Read every vehicle below `folder`: commit record, then the slot that it names on each ECU, hashing the image."""
    return FleetReport([_read_vehicle(path.parent, releases) for path in sorted(folder.glob("*/commit.json"))])


def _read_vehicle(folder: Path, releases: Mapping[str, Sequence[str]]) -> VehicleDisk:
    slots: Mapping[str, str] = json.loads((folder / "commit.json").read_text())["slots"]
    targets, is_sound = {}, True
    for serial, slot in slots.items():
        place = folder / "ecus" / serial / slot
        meta = json.loads((place / "meta.json").read_text())
        targets[serial] = meta["target_name"]
        with (place / "image").open("rb") as file:
            is_sound &= hashlib.file_digest(file, "sha256").hexdigest() == meta["sha256"]
    return VehicleDisk(folder.name, _release_of(targets, releases), targets, is_sound)


def _release_of(targets: Mapping[str, str], releases: Mapping[str, Sequence[str]]) -> str:
    installed = set(targets.values())
    return next((name for name, names in releases.items() if installed <= set(names)), MIXTURE)
