"""What the vehicle tells its server: events, the signed manifest, the log of a failure. None of it is lost by a cut."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from clients.vehicle.commit import CommitRecord
from clients.vehicle.config import VehicleConfig
from clients.vehicle.ecu import Ecu, Link, ReportRequest
from clients.vehicle.errors import RejectedError
from clients.vehicle.logs import VehicleLog
from clients.vehicle.order import format_time, parse_time
from clients.vehicle.schedule import DAY_SECONDS
from clients.vehicle.server import Server
from clients.vehicle.signing import canonical, printable
from clients.vehicle.state import State

EVENTS_PER_POST = 50
LOG_BYTES = 60_000
CONFLICT = 409


class Reporter:
    """Keeps what is to be said in the vehicle's state until the server has taken it."""

    def __init__(
        self,
        config: VehicleConfig,
        *,
        primary: Ecu,
        links: Sequence[Link],
        record: CommitRecord,
        state: State,
        server: Server,
        log: VehicleLog,
    ) -> None:
        self._config = config
        self._primary = primary
        self._links = links
        self._record = record
        self._state = state
        self._server = server
        self._log = log

    def event(
        self,
        attempt: str,
        phase: str,
        *,
        at: datetime,
        outcome: str = "none",
        code: str = "",
        message: str = "",
        progress: int | None = None,
        measured: Mapping[str, Any] | None = None,
    ) -> None:
        """Note an event for the next `flush`."""
        self._state.memory.events.append(
            {
                "id": str(uuid.uuid4()),
                "attempt": attempt,
                "ecu": "",
                "phase": phase,
                "outcome": outcome,
                "code": code,
                "message": printable(message),
                "progress": progress,
                "measured": dict(measured or {}),
                "device_time": format_time(at),
            }
        )
        self._log.info(phase, attempt=attempt, outcome=outcome, code=code, detail=message)

    def consent(self, attempt: str, record: Mapping[str, Any], *, at: datetime) -> None:
        """Note what the owner answered, durably, for the next `flush`."""
        identity = {"id": str(uuid.uuid4()), "attempt": attempt, "device_time": format_time(at)}
        self._state.memory.consents.append({**record, **identity})
        self._state.save()
        self._log.info("consent", attempt=attempt, decision=record["decision"], language=record["language"])

    def finish(
        self,
        attempt: str,
        outcome: str,
        *,
        at: datetime,
        code: str = "",
        message: str = "",
        measured: Mapping[str, Any] | None = None,
    ) -> None:
        """Note, once, how an attempt ended: an event, the report of the next manifest, and with a failure the log."""
        memory = self._state.memory
        if attempt not in memory.finished:
            memory.finished.append(attempt)
            memory.report = {"attempt": attempt, "outcome": outcome, "code": code, "message": printable(message)}
            memory.log_due = attempt if outcome == "failure" else memory.log_due
            self.event(attempt, "finished", at=at, outcome=outcome, code=code, message=message, measured=measured)
        self._state.save()

    def attack(self, message: str) -> None:
        """Note a refusal for the next manifest; the same one in a row counts once."""
        memory = self._state.memory
        if memory.refusal != message:
            memory.refusal = message
            memory.attacks = [*memory.attacks, message][-5:]

    def flush(self) -> None:
        """Send the owner's answers and the events. What the server rejects would be rejected again, so it is dropped.

        Raises:
            NotNowError: the rest is kept.
        """
        self._send_all("consents", self._state.memory.consents)
        self._send_all("events", self._state.memory.events)

    def _send_all(self, name: str, waiting: list[dict[str, Any]]) -> None:
        while waiting:
            batch = waiting[:EVENTS_PER_POST]
            try:
                answer = self._server.post(name, batch)
                for rejected in _listed(answer, "rejected"):
                    self._log.warning(f"{name}: one rejected", code=rejected.get("code"), detail=rejected.get("detail"))
            except RejectedError as error:
                self._log.warning(f"{name} rejected", code=error.code, detail=error.message)
            del waiting[: len(batch)]
            self._state.save()

    def send_due(self, at: datetime, *, is_wanted: bool) -> None:
        """Send what is due: events, the log of a failure, the manifest.

        Raises:
            NotNowError: the rest is kept.
        """
        self.flush()
        self._send_log()
        if is_wanted or self._is_manifest_due(at):
            self._send_manifest(at)

    def _is_manifest_due(self, at: datetime) -> bool:
        memory = self._state.memory
        if self._record.current.state == "trial":
            # What is on trial may be gone tomorrow: a manifest that names it would be proof of a success.
            return False
        if memory.report or memory.attacks or not memory.manifest_sent_at:
            return True
        if memory.manifest_images != self._images():
            return True
        age = at - parse_time(memory.manifest_sent_at)
        return abs(age) >= timedelta(seconds=DAY_SECONDS)

    def _send_manifest(self, at: datetime) -> None:
        memory = self._state.memory
        images, report, attacks = self._images(), memory.report, list(memory.attacks)
        try:
            answer = self._server.post("director/manifest", self._manifest(at))
            self._log.info("manifest accepted", findings=len(_listed(answer, "findings")))
        except RejectedError as error:
            self._log.warning("manifest refused", code=error.code, detail=error.message)
            if error.status == CONFLICT:
                # A counter that the server knows already; the next manifest has higher ones.
                return
        if memory.report == report:
            memory.report = None
        memory.attacks = [attack for attack in memory.attacks if attack not in attacks]
        memory.manifest_images, memory.manifest_sent_at = images, format_time(at)
        memory.reported_time = format_time(at)
        self._state.save()

    def _manifest(self, at: datetime) -> bytes:
        memory = self._state.memory
        time = format_time(at)
        reports = {}
        for link in self._links:
            # What the vehicle detected stands in the Primary's report: it is the Primary that fetches.
            attacks = "; ".join(memory.attacks) if link is self._primary else ""
            slot = self._record.current.slots[link.serial]
            reports[link.serial] = link.report(ReportRequest(slot, time, memory.reported_time or time, attacks))
        signed = {
            "vehicle_id": self._config.vehicle_id,
            "primary_ecu_serial": self._primary.serial,
            "ecu_version_manifests": reports,
            "report": memory.report,
        }
        return canonical(self._primary.sign_manifest(signed))

    def _images(self) -> str:
        """Return what runs, as one comparable text."""
        slots = self._record.current.slots
        images = {link.serial: link.installed(slots[link.serial]) for link in self._links}
        return json.dumps({serial: image.sha256 if image else "" for serial, image in images.items()}, sort_keys=True)

    def _send_log(self) -> None:
        memory = self._state.memory
        if memory.log_due:
            try:
                self._server.post("logs", {"attempt": memory.log_due, "text": self._log.tail(LOG_BYTES)})
            except RejectedError as error:
                self._log.warning("log rejected", code=error.code, detail=error.message)
            memory.log_due = ""
            self._state.save()


def _listed(answer: Any, name: str) -> list[dict[str, Any]]:
    """Return the objects that an answer lists as `name`; one that says nothing readable says nothing."""
    listed = answer.get(name) if isinstance(answer, dict) else None
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
