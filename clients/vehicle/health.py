"""How the vehicle is after an update: named numbers from its own software, sent while the server asks for them."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from clients.vehicle.errors import VehicleError
from clients.vehicle.hooks import Hooks
from clients.vehicle.logs import VehicleLog
from clients.vehicle.order import format_time, parse_time
from clients.vehicle.server import Server
from clients.vehicle.state import State

AN_HOUR = timedelta(hours=1)
_NAME = re.compile(r"[a-z0-9_-]{1,40}\Z")
MAX_SIGNALS = 100


class Health:
    """Answers the server's wish for signals, at most once an hour; it never ends a cycle."""

    def __init__(self, hooks: Hooks, *, server: Server, state: State, log: VehicleLog) -> None:
        self._hooks = hooks
        self._server = server
        self._state = state
        self._log = log

    def send_due(self, wanted: Sequence[str], *, at: datetime) -> None:
        """Ask the hook for the wanted signals and send them, unless that was tried within the last hour."""
        memory = self._state.memory
        if not wanted or (memory.health_tried_at and abs(at - parse_time(memory.health_tried_at)) < AN_HOUR):
            return
        # Noted first: a server that fails, or a hook that crashes the vehicle, is not met again at every poll.
        memory.health_tried_at = format_time(at)
        self._state.save()
        signals = usable(self._hooks.signals(wanted), wanted)
        if not signals:
            return
        try:
            self._server.post("health", {"signals": signals})
        except VehicleError as error:
            self._log.warning("signals not sent", code=error.code, detail=error.message)


def usable(measured: Mapping[str, object], wanted: Sequence[str]) -> dict[str, float]:
    """Return what of a hook's answer was asked for and is a finite number."""
    found = {}
    for name in wanted:
        value = measured.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value):
            found[name] = value
    return found


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def read_wanted(header: str | None) -> tuple[str, ...]:
    """Return the signals that a server asks for, from the header of its answer; it is not signed, so it is bounded."""
    names = [name.strip() for name in (header or "").split(",")]
    return tuple(name for name in names if _NAME.match(name))[:MAX_SIGNALS]
