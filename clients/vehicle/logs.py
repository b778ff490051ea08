"""What one vehicle says about itself: to the process's log, and to a tail that goes with a failure report."""

import json
import logging
import traceback
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from clients.vehicle.order import format_time

_logger = logging.getLogger("clients.vehicle")
TAIL_LINES = 200


class VehicleLog:
    """Event first, then its values. Values are chosen by callers and never hold tokens or keys."""

    def __init__(self, vehicle_id: str, clock: Callable[[], datetime]) -> None:
        self._vehicle_id = vehicle_id
        self._clock = clock
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def info(self, event: str, **values: Any) -> None:
        self._write(logging.INFO, event, values)

    def warning(self, event: str, **values: Any) -> None:
        self._write(logging.WARNING, event, values)

    def defect(self, error: Exception) -> None:
        """Write down an exception that nobody foresaw, with its traceback."""
        self._write(logging.ERROR, "defect", {"traceback": "".join(traceback.format_exception(error))})

    def tail(self, max_bytes: int) -> str:
        """Return the last lines that fit into `max_bytes`."""
        text = "\n".join(self._tail).encode()
        return text[-max_bytes:].decode(errors="ignore")

    def _write(self, level: int, event: str, values: dict[str, Any]) -> None:
        line = encodable(" ".join([event, *(f"{name}={value}" for name, value in values.items())]))
        self._tail.append(f"{format_time(self._clock())} {logging.getLevelName(level)} {line}")
        if _logger.isEnabledFor(level):
            extra = {"event": event, "values": {"vehicle_id": self._vehicle_id, **values}}
            _logger.log(level, "%s: %s", self._vehicle_id, line, extra=extra)


def encodable(text: str) -> str:
    """Return `text` without halves of surrogate pairs, which JSON from a server may hold and UTF-8 may not."""
    return text.encode(errors="replace").decode()


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        document = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", record.getMessage()),
            **getattr(record, "values", {}),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)


def set_up_logging(*, is_json: bool, is_verbose: bool) -> None:
    """Send this process's log to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if is_json else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=logging.INFO if is_verbose or is_json else logging.WARNING, handlers=[handler])
    _logger.setLevel(logging.INFO)
    # Its lines would hold signed URLs.
    logging.getLogger("httpx").setLevel(logging.WARNING)
