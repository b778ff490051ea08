"""What vehicles and their owners do whatever the release is: zones, nights, batteries, answers, disappearances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from clients.fleet.draws import draw
from clients.vehicle.conditions import values_that_meet
from clients.vehicle.hooks import ConsentQuestion, HookResult, Verdict

CHARGE = "state_of_charge"
FLAT_PERCENT = 12


class Trouble(StrEnum):
    """What is wrong with a vehicle or its owner; one at most, so that the shares of a plan add up."""

    NONE = ""
    REFUSAL = "refusal"  # the owner says no
    POSTPONEMENT = "postponement"  # puts it off a few times, then agrees
    NO_ANSWER = "no_answer"  # sees every question and never answers
    FLAT = "flat"  # the battery is never charged
    LATE_CHARGE = "late_charge"  # it is charged `charge_days` after it was first asked for
    DISAPPEARANCE = "disappearance"  # never heard of again from some contact on


class Cause(StrEnum):
    """What truly keeps a vehicle from the new release, as it or its owner last answered."""

    NOT_ASKED = "nothing was asked of it"
    REFUSED = "the owner refused"
    POSTPONED = "the owner put it off"
    UNANSWERED = "the owner never answered"
    CHARGE = "the battery is low"
    INSTALL = "an ECU cannot be programmed"
    HEALTH = "the new release is not healthy"
    SILENT = "silent after the switch"
    GONE = "never heard of again"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Habits:
    """Shares are fractions of the vehicles, and together at most 1.

    `night_hours`: out of reach from midnight on for so long, by its own clock, give or take a quarter.
    """

    zones: tuple[str, ...] = ("UTC",)
    night_hours: float = 0.0
    refusal: float = 0.0
    postponement: float = 0.0
    postponements: int = 2
    no_answer: float = 0.0
    flat: float = 0.0
    late_charge: float = 0.0
    charge_days: float = 2.0
    disappearance: float = 0.0

    def __post_init__(self) -> None:
        total = sum(getattr(self, trouble) for trouble in Trouble if trouble)
        if total > 1:
            raise ValueError(f"the shares of all troubles are {total:g} together, more than 1")


USUAL = Habits()


@dataclass
class Life:
    """One vehicle and its owner: how they are, what they did, and what last kept the vehicle from installing."""

    vehicle_id: str
    seed: int
    habits: Habits = USUAL
    cause: Cause = Cause.NOT_ASKED
    # Attempts whose owner agreed, or was told that it goes ahead anyway.
    agreed: set[str] = field(default_factory=set)
    # When each attempt switched to the new software.
    switched: dict[str, datetime] = field(default_factory=dict)
    _postponed: int = 0
    _charge_asked_at: datetime | None = None

    @property
    def zone(self) -> str:
        zones = self.habits.zones
        return zones[int(self._draw("zone") * len(zones))]

    @property
    def trouble(self) -> Trouble:
        chance = self._draw("trouble")
        for trouble in Trouble:
            if trouble and chance < (share := getattr(self.habits, trouble)):
                return trouble
            chance -= share if trouble else 0.0
        return Trouble.NONE

    def is_gone(self, cycle: int) -> bool:
        """Return whether the vehicle is not heard of any more from its n-th cycle on."""
        if self.trouble is Trouble.DISAPPEARANCE and cycle > 3 + int(self._draw("contacts") * 5):
            self.cause = Cause.GONE
        return self.cause is Cause.GONE

    def night_seconds(self, at: datetime) -> float:
        """Return for how long the vehicle's night lasts yet; 0 by day."""
        if not self.habits.night_hours:
            return 0.0
        local = at.astimezone(ZoneInfo(self.zone))
        length = self.habits.night_hours * (0.75 + 0.5 * self._draw("night", str(local.date())))
        passed = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
        return max(0.0, length * 3600 - passed.total_seconds())

    def measure(self, conditions: Sequence[Mapping[str, Any]], at: datetime) -> HookResult:
        """Measure what is asked for: all as it must be, but the charge of a battery that is low."""
        measured = values_that_meet(conditions)
        self._charge_asked_at = self._charge_asked_at or at
        is_late = at - self._charge_asked_at < timedelta(days=self.habits.charge_days)
        is_low = self.trouble is Trouble.FLAT or (self.trouble is Trouble.LATE_CHARGE and is_late)
        if is_low and any(condition.get("name") == CHARGE for condition in conditions):
            measured[CHARGE] = FLAT_PERCENT
            self.cause = Cause.CHARGE
        else:
            self.cause = Cause.NOTHING
        return HookResult(measured=measured)

    def answer(self, question: ConsentQuestion) -> HookResult:
        """Answer as this owner does."""
        if question.is_last:
            self.agreed.add(question.attempt)
        if self.trouble is Trouble.REFUSAL:
            self.cause = Cause.REFUSED if question.may_refuse else Cause.POSTPONED
            return HookResult(Verdict.NO, "simulated: no", decision="no", by=self.vehicle_id)
        if self.trouble is Trouble.NO_ANSWER:
            self.cause = Cause.UNANSWERED
            return HookResult(Verdict.NOT_YET, "simulated: nobody answers", decision="shown", by=self.vehicle_id)
        if self.trouble is Trouble.POSTPONEMENT and self._postponed <= self._draw("times") * self.habits.postponements:
            self._postponed += 1
            self.cause = Cause.POSTPONED
            return HookResult(Verdict.NOT_YET, "simulated: later", decision="postpone", by=self.vehicle_id)
        self.agreed.add(question.attempt)
        self.cause = Cause.NOTHING
        return HookResult(decision="yes", by=self.vehicle_id)

    def _draw(self, *what: str) -> float:
        return draw(self.seed, self.vehicle_id, "life", *what)
