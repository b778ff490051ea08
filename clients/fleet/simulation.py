"""Puts the real client into every simulated vehicle and gives it its turns."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx

from clients.fleet.behaviour import SimulatedHooks
from clients.fleet.habits import Life
from clients.fleet.plan import FleetPlan, PlannedVehicle
from clients.vehicle.agent import Agent
from clients.vehicle.config import EcuConfig, VehicleConfig
from clients.vehicle.provision import install_factory

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    return datetime.now(tz=UTC)


class SimulatedVehicle:
    """One vehicle: the real agent, with hooks that misbehave as planned."""

    def __init__(
        self,
        planned: PlannedVehicle,
        plan: FleetPlan,
        *,
        folder: Path,
        server_url: str,
        transport: httpx.BaseTransport | None,
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        config = vehicle_config(planned, plan, folder=folder, server_url=server_url)
        if not (config.state_dir / "commit.json").exists():
            factory = {
                ecu.serial: (ecu.target_name, ecu.release_counter, Path(ecu.image)) for ecu in planned.ecus if ecu.image
            }
            install_factory(config, factory, is_durable=False)
        self._hooks = SimulatedHooks(
            planned.vehicle_id,
            seed=plan.seed,
            behaviours=plan.behaviours,
            clock=clock,
            releases=plan.releases,
            habits=plan.habits,
        )
        self._agent = Agent(
            config,
            hooks=self._hooks,
            transport=transport,
            clock=clock,
            sleep=sleep,
            rng=random.Random(f"{plan.seed} {planned.vehicle_id}"),
            is_durable=False,
        )
        self._contacts = 0
        self._cycles = 0

    @property
    def life(self) -> Life:
        """What the vehicle and its owner are like, and what they did."""
        return self._hooks.life

    def take_turn(self) -> float | None:
        """Run one cycle of the client; return the seconds until the next, or None if the vehicle has gone silent."""
        self._contacts += 1
        offline = self._hooks.offline_seconds(self._contacts)
        if offline > 0:
            return offline
        self._cycles += 1
        if self.life.is_gone(self._cycles):
            return None
        result = self._agent.run_once()
        return None if self._hooks.is_silent else result.next_seconds


def vehicle_config(planned: PlannedVehicle, plan: FleetPlan, *, folder: Path, server_url: str) -> VehicleConfig:
    """Return what the factory would have told this vehicle."""
    return VehicleConfig(
        state_dir=folder / planned.vehicle_id,
        server_url=server_url,
        tenant=plan.tenant,
        vehicle_id=planned.vehicle_id,
        ecus=tuple(EcuConfig(e.serial, e.hardware_id, e.is_primary, e.verification) for e in planned.ecus),
        director_root=Path(plan.director_root),
        image_root=Path(plan.image_root),
        claim_code=planned.claim_code,
        polling_seconds=plan.polling_seconds,
    )


def build_fleet(
    plan: FleetPlan,
    *,
    folder: Path,
    server_url: str,
    transport: httpx.BaseTransport | None = None,
    clock: Clock = system_clock,
    sleep: Callable[[float], None],
) -> Sequence[SimulatedVehicle]:
    """Make every vehicle of the plan, with its factory software where its disk is still empty."""
    return [
        SimulatedVehicle(
            planned, plan, folder=folder, server_url=server_url, transport=transport, clock=clock, sleep=sleep
        )
        for planned in plan.vehicles
    ]
