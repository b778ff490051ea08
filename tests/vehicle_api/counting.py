"""Counting what requests cost (`costs`), with vehicles recognised as they are behind the poll front."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.signals import request_started
from django.db import connection

from otaserver.front.changes import Changes
from otaserver.vehicle_api import identity
from otaserver.vehicle_api.recognised import Recognised
from tests.vehicle_api.costs import Cost, Costs

_SAVEPOINT = re.compile(r'(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) "?(\w+)"?')
_NUMBER = re.compile(r"\d+(?=\.)|[0-9a-f]{64}|[0-9a-f-]{36}|(?<=/)\d+(?=[/?]|\Z)")


@contextmanager
def counted() -> Iterator[Costs]:
    """Count the requests that come in this thread, and their statements."""
    found = Costs()
    open_savepoints: list[str] = []

    changes = Changes()
    recognised = Recognised(changes)

    def begin(sender: Any, environ: dict[str, Any] | None = None, **_: Any) -> None:
        if environ is not None:
            with found.aside():
                changes.read()
            environ[identity.RECOGNISED] = recognised
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
