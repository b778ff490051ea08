"""Keeping what the gate has read, so that its decisions can be made again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from otaserver.campaigns.models import Campaign, GateState
from otaserver.campaigns.queries import gates
from otaserver.campaigns.records import GateReading
from otaserver.campaigns.rules import gate
from otaserver.campaigns.rules import readings as rules
from otaserver.campaigns.rules.gate import Outcome
from otaserver.campaigns.rules.readings import HealthSeen


def keep(
    campaign: Campaign, outcomes: Sequence[tuple[str, Outcome]], health: HealthSeen, *, at: datetime
) -> GateReading | None:
    """Store what a tick has read, under the campaign's lock; None: it has read nothing."""
    if not outcomes:
        return None
    last = campaign.gate_readings.order_by("-number").values_list("number", "sha256").first()
    number, previous = (last[0] + 1, last[1]) if last else (1, rules.NOTHING_READ)
    packed = rules.pack(outcomes, health)
    digest = rules.digest(previous, number, packed)
    return GateReading.objects.create(campaign=campaign, number=number, at=at, sha256=digest, **asdict(packed))


def last_number(campaign: Campaign) -> int:
    """Return the number of the campaign's last reading, 0 before the first."""
    return campaign.gate_readings.order_by("-number").values_list("number", flat=True).first() or 0


def inputs_of(
    campaign: Campaign,
    states: Mapping[str, GateState],
    stratum: str,
    before: gate.Standing,
) -> dict[str, Any]:
    """Return what a decision of one test rests on beside what was read: its parameters, and where it stood."""
    return {
        "plan": asdict(gates.gate_plan(campaign)),
        "strata": gates.known_strata(states.values()),
        "late_place": states[stratum].late_place,
        "takes_in": gates.tests_late_strata(campaign),
        "planned_results": states[stratum].planned_results,
        "outcome_share": states[stratum].outcome_share,
        "before": before._asdict(),
    }


def reference(reading: GateReading | None) -> dict[str, Any]:
    """Return what names a reading in the decisions that rest on it."""
    if reading is None:
        return {"reading": 0, "outcomes_sha256": ""}
    return {"reading": reading.number, "outcomes_sha256": reading.sha256}
