"""A vehicle under test with its three ECUs, and what its disk says that it runs."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from clients.vehicle.agent import Agent, CycleResult
from clients.vehicle.config import EcuConfig, VehicleConfig
from clients.vehicle.hooks import WillingHooks
from clients.vehicle.provision import install_factory
from tests.clients.vehicle.repositories import Oem, Transport


class Vehicle:
    """`agent` restarts on demand; `at` is its system clock."""

    def __init__(self, oem: Oem, folder: Path, *, url: str = "http://ota.example", **settings: Any) -> None:
        self.oem = oem
        self.at: datetime = oem.at
        self.hooks: Any = WillingHooks()
        self.transport: httpx.BaseTransport | None = Transport(oem) if "example" in url else None
        self.config = make_config(oem, folder, server_url=url, **settings)
        self._agent: Agent | None = None

    @property
    def agent(self) -> Agent:
        if self._agent is None:
            self._agent = self.make_agent()
        return self._agent

    def make_agent(self, **settings: Any) -> Agent:
        return Agent(
            self.config, hooks=self.hooks, transport=self.transport, clock=lambda: self.at, is_durable=False, **settings
        )

    def restart(self) -> None:
        if self._agent is not None:
            self._agent.close()
        self._agent = None

    def run(self) -> CycleResult:
        return self.agent.run_once()

    def later(self, **delta: float) -> None:
        self.at += timedelta(**delta)

    def trust(self) -> dict[str, bytes]:
        """Every byte of stored trust, of Primary and Secondaries."""
        folders = [self.config.state_dir / "trust", *self.config.state_dir.glob("ecus/*/trust")]
        return {
            str(file.relative_to(self.config.state_dir)): file.read_bytes()
            for folder in folders
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }

    def runs(self) -> dict[str, str]:
        """Target names by ECU, by the commit record and the slots."""
        return what_runs(self.config.state_dir)


def make_config(oem: Oem, folder: Path, **settings: Any) -> VehicleConfig:
    folder.mkdir(parents=True, exist_ok=True)
    for name, repository in (("director", oem.director), ("image", oem.image)):
        (folder / f"{name}.json").write_bytes(repository.files["1.root.json"])
    ecus = (
        EcuConfig("P1", "gateway", is_primary=True),
        EcuConfig("S1", "engine"),
        EcuConfig("S2", "seat", verification="partial"),
    )
    config = VehicleConfig(
        state_dir=folder / "state",
        server_url="http://ota.example",
        tenant="default",
        vehicle_id=oem.vehicle_id,
        ecus=tuple(ecu for ecu in ecus if ecu.serial in oem.hardware),
        director_root=folder / "director.json",
        image_root=folder / "image.json",
        claim_code="claim",
        wants_certificate=False,
    )
    return replace(config, **settings)


def install_old_release(oem: Oem, config: VehicleConfig) -> dict[str, str]:
    """Factory state: version 1.0 on every ECU, with release counter 1."""
    targets = oem.publish_release("1.0")
    images = {}
    for serial, name in targets.items():
        path = config.state_dir.parent / f"{serial}.bin"
        sha256 = oem.image.delegated["supplier"]["targets"][name]["hashes"]["sha256"]
        path.write_bytes(oem.images[sha256])
        images[serial] = (name, 1, path)
    install_factory(config, images, is_durable=False)
    return targets


def what_runs(state_dir: Path) -> dict[str, str]:
    record = json.loads((state_dir / "commit.json").read_text())
    return {
        serial: json.loads((state_dir / "ecus" / serial / slot / "meta.json").read_text())["target_name"]
        for serial, slot in record["slots"].items()
    }
