"""What a DDI vehicle says of an action, in neutral words."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from otaserver.campaigns.operations import VehicleReport
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from otaserver.vehicle_api.ddi import bodies

EXECUTIONS = ("closed", "proceeding", "canceled", "scheduled", "rejected", "resumed", "downloaded", "download")
RESULTS = ("success", "failure", "none")
# SWUpdate says so, with closed and success, of an update that it was told not to install: nothing was.
SKIPPED = "Skipped Update."
FAILED_CODE = "install_failed"
WITHDRAWN_CODE = "withdrawn"
_PHASES = {
    "download": (ReportPhase.DOWNLOADING, ""),
    "downloaded": (ReportPhase.DOWNLOADED, ""),
    "scheduled": (ReportPhase.HELD, "not_before"),
    "rejected": (ReportPhase.HELD, "precondition"),
}


@dataclass(frozen=True)
class Feedback:
    """One feedback as received; `digest` is the same for one that is sent again."""

    execution: str
    finished: str
    lines: tuple[str, ...]
    steps: tuple[int, int] | None
    time: datetime | None
    digest: str

    def report(self, number: int) -> VehicleReport:
        """Return what it says of an order that stands (wire: deploymentBase feedback)."""
        if self.execution == "closed":
            return self._closed(number)
        if self.execution == "canceled":
            # The vehicle gave it up by itself; hawkBit would leave it open for ever.
            return self.say(number, ReportPhase.FINISHED, ReportOutcome.REFUSED, WITHDRAWN_CODE)
        phase, code = _PHASES.get(self.execution, (ReportPhase.DOWNLOADING, ""))
        if self.steps is not None and self.steps[0] > 0 and phase == ReportPhase.DOWNLOADING:
            # A step of the installation is done.
            phase = ReportPhase.INSTALLING
        return self.say(number, phase, code=code)

    def _closed(self, number: int) -> VehicleReport:
        if self.finished == "success" and SKIPPED not in self.lines:
            return self.say(number, ReportPhase.FINISHED, ReportOutcome.SUCCESS)
        if self.finished == "success":
            return self.say(number, ReportPhase.FINISHED, ReportOutcome.NONE)
        # Closed without a result is no success, whatever hawkBit makes of it.
        return self.say(number, ReportPhase.FINISHED, ReportOutcome.FAILURE, FAILED_CODE)

    def say(self, number: int, phase: str, outcome: str = ReportOutcome.NONE, code: str = "") -> VehicleReport:
        done, of = self.steps or (0, 0)
        return VehicleReport(
            attempt=number,
            report_id=self.digest,
            phase=phase,
            outcome=outcome,
            code=code,
            message="\n".join(self.lines),
            progress=min(100, 100 * done // of) if of > 0 else None,
            measured={"steps_done": done, "steps": of} if self.steps else {},
            device_time=self.time,
        )


def read(request: HttpRequest) -> Feedback:
    """Return the feedback in a request.

    Raises:
        FieldsInvalidError: a needed member is missing, or is none of its words.
        BodyMalformedError, UnsupportedMediaError, TooManyMessagesError: as in `bodies`.
    """
    body = bodies.read(request)
    status = bodies.member(body, "status")
    result = bodies.member(status, "result")
    execution = bodies.choice(status, "execution", EXECUTIONS)
    finished = bodies.choice(result, "finished", RESULTS)
    lines = [line for line in bodies.messages(status) if line]
    if type(status.get("code")) is int:
        lines.append(f"Device reported status code: {status['code']}")
    said = json.dumps(body, sort_keys=True).encode()
    digest = hashlib.sha256(said).hexdigest()
    return Feedback(execution, finished, tuple(lines), _steps(result), bodies.device_time(body), digest)


def _steps(result: dict[str, Any]) -> tuple[int, int] | None:
    found = result.get("progress")
    if not isinstance(found, dict):
        return None
    done, of = found.get("cnt"), found.get("of")
    if not (isinstance(done, int) and isinstance(of, int)):
        return None
    return (done, of) if 0 <= done < 2**31 and 0 < of < 2**31 else None
