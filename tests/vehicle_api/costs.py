"""What requests cost: how many there are, and which statements each sends to the database.

Counted is what is a round trip in production: a request's statements, and the savepoints that it opens inside a
transaction. What opens and ends a transaction is not: a test has one open already, and production has it where it is
the outermost.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.core.signals import request_started
from django.db import connection

from tests.processes import ROOT

DOCUMENTED = ROOT / "docs" / "vehicle-api.md"

_SAVEPOINT = re.compile(r'(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) "?(\w+)"?')
_NUMBER = re.compile(r"\d+(?=\.)|[0-9a-f]{64}|[0-9a-f-]{36}|(?<=/)\d+(?=[/?]|\Z)")


@dataclass
class Cost:
    """One request: method and address with what varies left out, and the statements that it sent."""

    request: str
    statements: list[str] = field(default_factory=list)
    savepoints: int = 0

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
        return f"| {protocol} | {len(self.requests)} | {self.statements} |"

    def by_request(self) -> list[tuple[str, int]]:
        return [(cost.request, cost.count) for cost in self.requests]

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What happens here is not counted: the server's own ticks, and what the test looks at."""
        self.is_counting = False
        try:
            yield
        finally:
            self.is_counting = True


@contextmanager
def counted() -> Iterator[Costs]:
    """Count the requests that come in this thread, and their statements."""
    found = Costs()
    open_savepoints: list[str] = []

    def begin(sender: Any, environ: dict[str, Any] | None = None, **_: Any) -> None:
        if found.is_counting and environ is not None:
            open_savepoints.clear()
            found.requests.append(Cost(f"{environ['REQUEST_METHOD']} {_NUMBER.sub('#', environ['PATH_INFO'])}"))

    def note(execute: Any, statement: str, parameters: Any, many: bool, context: Any) -> Any:
        if found.is_counting and found.requests:
            _note(found.requests[-1], statement, open_savepoints)
        return execute(statement, parameters, many, context)

    request_started.connect(begin, weak=False)
    try:
        with connection.execute_wrapper(note):
            yield found
    finally:
        request_started.disconnect(begin)


def _note(cost: Cost, statement: str, open_savepoints: list[str]) -> None:
    savepoint = _SAVEPOINT.match(statement)
    if savepoint is None:
        if not statement.startswith("BEGIN"):
            cost.statements.append(statement)
    elif savepoint[1] == "SAVEPOINT":
        # The outermost is the transaction itself.
        cost.savepoints += bool(open_savepoints)
        open_savepoints.append(savepoint[2])
    elif savepoint[1] == "RELEASE SAVEPOINT" and savepoint[2] in open_savepoints:
        open_savepoints.remove(savepoint[2])
