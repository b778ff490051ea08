"""What a factory does before a vehicle is first switched on."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from clients.vehicle.commit import Commit, CommitRecord
from clients.vehicle.config import VehicleConfig
from clients.vehicle.disk import Disk
from clients.vehicle.slots import Image, Slots, blocks


def install_factory(
    config: VehicleConfig, images: Mapping[str, tuple[str, int, Path]], *, is_durable: bool = True
) -> None:
    """Put the starting release on the vehicle: ECU serial → (target name, release counter, file).

    Fills slot a of each ECU and commits to it. ECUs that are not named stay empty and report the image "unknown".
    """
    disk = Disk(is_durable=is_durable)
    config.state_dir.mkdir(parents=True, exist_ok=True)
    for serial, (target_name, release_counter, path) in images.items():
        slots = Slots(config.state_dir / "ecus" / serial, disk)
        slots.fill("a", _describe(target_name, release_counter, path), blocks(path))
    record = CommitRecord(config.state_dir / "commit.json", tuple(config.hardware), disk)
    counters = {serial: release_counter for serial, (_, release_counter, _) in images.items()}
    record.write(Commit(slots=dict.fromkeys(config.hardware, "a"), counters=counters))


def _describe(target_name: str, release_counter: int, path: Path) -> Image:
    sha256, sha512, length = hashlib.sha256(), hashlib.sha512(), 0
    for block in blocks(path):
        sha256.update(block)
        sha512.update(block)
        length += len(block)
    name, _, version = target_name.rpartition("/")[2].rpartition("-")
    return Image(target_name, length, sha256.hexdigest(), sha512.hexdigest(), release_counter, name, version)
