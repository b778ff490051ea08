"""How a campaign's evidence came to where it stands: what the gate has read, test by test."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from otaserver.campaigns.models import Campaign
from otaserver.campaigns.queries.gates import StratumView, gate_tests, gate_view
from otaserver.campaigns.records import GateReading
from otaserver.campaigns.rules.evidence import Point, Way
from otaserver.campaigns.rules.gate import GateTest, Outcome
from otaserver.campaigns.rules.readings import Packed, runs_of


@dataclass(frozen=True)
class EvidencePath:
    """One test as `gate_view` has it, its three limits, and the way that it took."""

    view: StratumView
    pass_limit: float
    halt_limit: float
    guard_limit: float
    points: Sequence[Point]


def evidence_paths(campaign: Campaign) -> Sequence[EvidencePath]:
    """Return the way of each test of a campaign's gate, the pool first, in four queries."""
    views = gate_view(campaign).tests
    tests = gate_tests(campaign, list(campaign.gate_states.all()))
    ways = {stratum: Way(test) for stratum, test in tests.items()}
    anew = _begun_anew(campaign)
    for reading in campaign.gate_readings.order_by("number"):
        for stratum, way in ways.items():
            way.read(_of(reading, stratum))
        for stratum in anew.get(reading.number, ()):
            if stratum in ways:
                ways[stratum].begin_anew()
    return [_path(view, tests[view.stratum], ways[view.stratum]) for view in views]


def _path(view: StratumView, test: GateTest, way: Way) -> EvidencePath:
    return EvidencePath(view, test.pass_limit, test.halt_limit, test.guard_limit, way.points())


def _of(reading: GateReading, stratum: str) -> Iterator[tuple[Outcome, int]]:
    for read, outcome, count in runs_of(Packed(reading.strata, reading.runs)):
        if not stratum or read == stratum:
            yield outcome, count


def _begun_anew(campaign: Campaign) -> Mapping[int, Sequence[str]]:
    found: dict[int, list[str]] = {}
    for inputs in campaign.decisions.filter(kind="campaign.resumed").values_list("inputs", flat=True):
        found.setdefault(inputs.get("after_reading", -1), []).extend(inputs.get("began_anew", ()))
    return found
