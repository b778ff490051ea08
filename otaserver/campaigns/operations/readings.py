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


def keep(campaign: Campaign, outcomes: Sequence[tuple[str, Outcome]], *, at: datetime) -> GateReading | None:
    """Store the outcomes that a tick has read, under the campaign's lock; None: it has read none."""
    if not outcomes:
        return None
    last = campaign.gate_readings.order_by("-number").values_list("number", "sha256").first()
    number, previous = (last[0] + 1, last[1]) if last else (1, rules.NOTHING_READ)
    strata, runs = rules.pack(outcomes)
    digest = rules.digest(previous, number, strata, runs)
    return GateReading.objects.create(campaign=campaign, number=number, at=at, strata=strata, runs=runs, sha256=digest)


def last_number(campaign: Campaign) -> int:
    """Return the number of the campaign's last reading, 0 before the first."""
    return campaign.gate_readings.order_by("-number").values_list("number", flat=True).first() or 0


def inputs_of(
    campaign: Campaign,
    states: Mapping[str, GateState],
    stratum: str,
    before: gate.Standing,
    reading: GateReading | None,
) -> dict[str, Any]:
    """Return what a decision of one test rests on: its parameters, where it stood, and what was read."""
    return {
        "plan": asdict(gates.gate_plan(campaign)),
        "strata": sum(name != "" for name in states),
        "planned_results": states[stratum].planned_results,
        "outcome_share": states[stratum].outcome_share,
        "before": before._asdict(),
        "reading": 0 if reading is None else reading.number,
        "outcomes_sha256": "" if reading is None else reading.sha256,
    }
