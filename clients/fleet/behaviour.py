"""What goes wrong in simulated vehicles: decided by a hash, so that one seed gives the same fleet on every run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clients.fleet.draws import draw
from clients.fleet.habits import USUAL, Cause, Habits, Life
from clients.vehicle.hooks import ConsentQuestion, HookResult, StagedImage, StagedRelease, Verdict, WillingHooks

ANY_RELEASE = "*"


@dataclass(frozen=True)
class Behaviour:
    """What one release does to vehicles. Shares are fractions of the vehicles, times seconds.

    `failing_hardware` names hardware ids: a vehicle with such an ECU fails its health check, always.
    """

    install_failure: float = 0.0
    health_failure: float = 0.0
    failing_hardware: tuple[str, ...] = ()
    # Switches to the new software and is never heard of again.
    silence: float = 0.0
    # Takes `slow_seconds` to finish its health check.
    slow: float = 0.0
    slow_seconds: float = 0.0
    # At each contact: the share of vehicles that are out of reach for the next `offline_seconds`.
    offline: float = 0.0
    offline_seconds: float = 0.0


WELL = Behaviour()


class SimulatedHooks(WillingHooks):
    """The hooks of one simulated vehicle."""

    def __init__(
        self,
        vehicle_id: str,
        *,
        seed: int,
        behaviours: Mapping[str, Behaviour],
        clock: Callable[[], datetime],
        releases: Mapping[str, Sequence[str]],
        habits: Habits = USUAL,
    ) -> None:
        self._vehicle_id = vehicle_id
        self._seed = seed
        self._behaviours = behaviours
        self._clock = clock
        self._health_asked_at: dict[str, datetime] = {}
        self._release_of = {target: release for release, targets in releases.items() for target in targets}
        self.life = Life(vehicle_id, seed, habits)
        self.is_silent = False

    def install(self, image: StagedImage) -> HookResult:
        behaviour = self._behaviour(self._release_of.get(image.target_name, ANY_RELEASE))
        if self._happens("install_failure", image.target_name, behaviour.install_failure):
            self.life.cause = Cause.INSTALL
            return HookResult(Verdict.NO, f"simulated: {image.ecu} cannot be programmed")
        return HookResult()

    def health(self, release: StagedRelease) -> HookResult:
        if release.attempt not in self.life.switched:
            self.life.switched[release.attempt] = self._clock()
        behaviour = self._behaviour(release.release)
        if self._happens("silence", release.release, behaviour.silence):
            self.is_silent = True
            self.life.cause = Cause.SILENT
            return HookResult(Verdict.NOT_YET, "simulated: no answer")
        if self._happens("slow", release.release, behaviour.slow):
            asked = self._health_asked_at.setdefault(release.attempt, self._clock())
            if self._clock() - asked < timedelta(seconds=behaviour.slow_seconds):
                return HookResult(Verdict.NOT_YET, "simulated: still starting")
        failing = [image.ecu for image in release.images if image.hardware_id in behaviour.failing_hardware]
        if failing or self._happens("health_failure", release.release, behaviour.health_failure):
            self.life.cause = Cause.HEALTH
            return HookResult(Verdict.NO, f"simulated: self-test of {', '.join(failing) or 'the vehicle'} failed")
        return HookResult()

    def preconditions(self, conditions: Sequence[Mapping[str, Any]]) -> HookResult:
        return self.life.measure(conditions, self._clock())

    def consent(self, question: ConsentQuestion) -> HookResult:
        return self.life.answer(question)

    def offline_seconds(self, contact: int) -> float:
        """Return for how long the vehicle is out of reach from its n-th contact on; 0 if it is not."""
        night = self.life.night_seconds(self._clock())
        if night > 0:
            return night
        behaviour = self._behaviours.get(ANY_RELEASE, WELL)
        is_offline = draw(self._seed, self._vehicle_id, "offline", str(contact)) < behaviour.offline
        return behaviour.offline_seconds if is_offline else 0.0

    def _behaviour(self, release: str) -> Behaviour:
        return self._behaviours.get(release) or self._behaviours.get(ANY_RELEASE, WELL)

    def _happens(self, what: str, release: str, share: float) -> bool:
        return share > 0 and draw(self._seed, self._vehicle_id, what, release) < share
