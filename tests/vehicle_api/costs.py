"""What requests cost: how many there are, and which statements each sends to the database.

`python -m tests.vehicle_api.costs` prints it of one whole update by each protocol, as the tests count it.

Counted (`counting`) is what is a round trip in production: a request's statements, and the savepoints that it opens
inside a transaction. What opens and ends a transaction is not: a test has one open already, and production has it
where it is the outermost. Vehicles are recognised as they are behind the poll front (`vehicle_api.recognised`), whose
own reading of changes, four times a second for all of them, is not counted either.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.processes import ROOT

DOCUMENTED = ROOT / "docs" / "vehicle-api.md"
PROTOCOLS = ("reference client, two ECUs", "DDI as SWUpdate speaks it", "aktualizr", "Mender")
FOLDER = Path(__file__).parent.relative_to(ROOT)
# Each counts one whole update, and says what it found as a property of its own.
COUNTING = tuple(f"{FOLDER}/{place}test_costs.py" for place in ("", "aktualizr/", "mender/"))

# Each with how often it reads, and all the statements that it sends.
Requests = list[tuple[str, int, int]]


@dataclass
class Cost:
    """One request: method and address with what varies left out, and the statements that it sent."""

    request: str
    statements: list[str] = field(default_factory=list)
    savepoints: int = 0

    @property
    def reads(self) -> int:
        return sum(statement.startswith(("SELECT", "WITH")) for statement in self.statements)

    @property
    def count(self) -> int:
        """Return its statements, and twice its savepoints: each is opened, and ended."""
        return len(self.statements) + 2 * self.savepoints


@dataclass
class Costs:
    """The requests of one stretch, in their order."""

    requests: list[Cost] = field(default_factory=list)
    # What the test itself asks between the requests belongs to none.
    is_counting: bool = True

    @property
    def statements(self) -> int:
        return sum(cost.count for cost in self.requests)

    def row(self, protocol: str) -> str:
        """Return the row of the table in which the documentation says it."""
        return row(protocol, self.by_request())

    def by_request(self) -> Requests:
        return [(cost.request, cost.reads, cost.count) for cost in self.requests]

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What happens here is not counted: the server's own ticks, and what the test looks at."""
        before, self.is_counting = self.is_counting, False
        try:
            yield
        finally:
            self.is_counting = before


def row(protocol: str, requests: Requests) -> str:
    reads, statements = (sum(numbers) for numbers in list(zip(*requests, strict=True))[1:])
    return f"| {protocol} | {len(requests)} | {reads} | {statements} |"


def noted(report: Path) -> dict[str, Requests]:
    """Return what the tests of a run have said of each protocol."""
    properties = ElementTree.parse(report).iter("property")
    found = {each.get("name"): each.get("value") for each in properties}
    return {
        name: [(path, reads, count) for path, reads, count in json.loads(found[name] or "")]
        for name in PROTOCOLS
        if name in found
    }


def lines(found: Mapping[str, Requests]) -> Iterable[str]:
    """Yield the table of the documentation, and then the requests of each protocol."""
    yield from ("| protocol | requests | reads | statements |", "|---|---|---|---|")
    yield from (row(protocol, requests) for protocol, requests in found.items())
    for protocol, requests in found.items():
        yield f"\n{protocol}"
        yield from (f"{reads:>5} {count:>5}  {request}" for request, reads, count in requests)


def main() -> None:
    """Have the tests count, and print what they found."""
    argparse.ArgumentParser(prog="python -m tests.vehicle_api.costs", description=main.__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        # Only the old form of report has properties of single tests.
        told = ["-o", "junit_family=legacy", f"--junitxml={report}"]
        command = [sys.executable, "-m", "pytest", "-q", "-k", "whole_update", *told, *COUNTING]
        environment = os.environ | {"OTA_TEST_DATABASE": "sqlite"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        found = noted(report) if report.exists() else {}
        print("\n".join(lines(found)))  # noqa: T201
        if done.returncode:
            sys.exit(f"{done.stdout[-3000:]}\nNot all of this is as the tests and the documentation have it.")


if __name__ == "__main__":
    main()
