"""What aktualizr says while it works, in batches. Claims, stored as they come."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.states import ReportPhase
from otaserver.director import correlations
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api import batches, bodies, identity, problems
from otaserver.vehicle_api.aktualizr import consents
from otaserver.vehicle_api.errors import FieldsInvalidError

MAX_BYTES = 512 * 1024
MAX_EVENTS = 500
# By type and by whether it went well: the phase, and why not. How an update ended, the signed manifest says, not these.
_PHASES: Mapping[tuple[str, bool], tuple[str, str]] = {
    ("EcuDownloadStarted", True): (ReportPhase.DOWNLOADING, ""),
    ("EcuDownloadCompleted", True): (ReportPhase.DOWNLOADED, ""),
    ("EcuDownloadCompleted", False): (ReportPhase.DOWNLOADING, "download_failed"),
    ("EcuInstallationStarted", True): (ReportPhase.INSTALLING, ""),
    # Applied: it takes effect with a restart.
    ("EcuInstallationApplied", True): (ReportPhase.INSTALLING, ""),
    ("EcuInstallationCompleted", True): (ReportPhase.INSTALLED, ""),
    ("EcuInstallationCompleted", False): (ReportPhase.INSTALLING, "install_failed"),
    ("DevicePaused", True): (ReportPhase.DOWNLOADING, ""),
    ("DeviceResumed", True): (ReportPhase.DOWNLOADING, ""),
}


@problems.endpoint("POST")
def events(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    found = bodies.read_list(request, MAX_BYTES, MAX_EVENTS)
    # Never an error for all of them: it would send the same ones again and again.
    return JsonResponse(batches.record(found, lambda event: _told(vehicle, event, at=at)))


def _told(vehicle: Vehicle, event: Any, *, at: datetime) -> campaigns.Told | None:
    """Return what an event reports; None: it was an owner's answer, and that is recorded."""
    bodies.require_storable(event)
    kind = bodies.text(bodies.member(event, "eventType", dict), "id", 80)
    if kind in consents.DECISIONS:
        consents.record_answer(vehicle, event, kind, at=at)
        return None
    told = bodies.member(event, "event", dict)
    phase, code = _phase(kind, told.get("success", True) is True)
    attempt = correlations.attempt_of(bodies.text(told, "correlationId", 255))
    if attempt is None:
        raise FieldsInvalidError("correlationId is none that this server has given out.", field="correlationId")
    said = campaigns.VehicleReport(
        attempt=attempt,
        report_id=str(bodies.uuid(event, "id")),
        ecu_serial=bodies.text(told, "ecu", 64) if "ecu" in told else "",
        phase=phase,
        code=code,
        message=kind,
        device_time=bodies.moment(event, "deviceTime"),
    )
    return campaigns.Told(vehicle, said, True, at)


def _phase(kind: str, is_success: bool) -> tuple[str, str]:
    # Where only one answer is known, the other is taken for it: that something began cannot go badly.
    found = _PHASES.get((kind, is_success)) or _PHASES.get((kind, True))
    if found is None:
        raise FieldsInvalidError(f"Events of the type {kind!r} are not known here.", field="eventType")
    return found
