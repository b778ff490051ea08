"""What a device says of a deployment: statuses, and the log of one that failed."""

from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.errors import TooManyLogsError
from otaserver.campaigns.queries import InstallGate
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from otaserver.errors import ConflictError
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api import bodies
from otaserver.vehicle_api.errors import FieldsInvalidError
from otaserver.vehicle_api.mender import answers, logs

MAX_STATUS_BYTES = 64 * 1024
MAX_SUBSTATE_LENGTH = 2000
_PHASES = {
    "downloading": ReportPhase.DOWNLOADING,
    "pause_before_installing": ReportPhase.HELD,
    "installing": ReportPhase.INSTALLING,
    "pause_before_rebooting": ReportPhase.INSTALLED,
    "rebooting": ReportPhase.INSTALLED,
    "pause_before_committing": ReportPhase.INSTALLED,
}
_GOOD_ENDS = frozenset({"success", "already-installed"})
_FAILURE = "failure"
# The word for what no client says: that it was kept waiting.
GATE = "gate"


class AbortedError(ConflictError):
    """The client rolls back, and reports a failure."""

    code = "deployment.aborted"


@answers.endpoint("PUT")
def status(request: HttpRequest, *, deployment: UUID, at: datetime) -> HttpResponseBase:
    vehicle = answers.caller(request, at=at)
    body = bodies.read_json(request, MAX_STATUS_BYTES)
    said = bodies.text(body, "status", 40)
    substate = (bodies.optional_member(body, "substate", str) or "")[:MAX_SUBSTATE_LENGTH]
    fleet.record_contact(vehicle, at=at)
    if said in _GOOD_ENDS:
        _succeed(vehicle, deployment, said, at=at)
    elif said == _FAILURE:
        _fail(vehicle, deployment, substate, at=at)
    elif said in _PHASES:
        gate = note(vehicle, deployment, _PHASES[said], said, at=at)
        if gate.is_withdrawn or (gate.hold is not None and _PHASES[said] == ReportPhase.INSTALLING):
            raise AbortedError(f"The deployment {deployment} was aborted.", attempt=str(deployment))
    else:
        raise FieldsInvalidError(f"There is no status {said!r}.", field="status")
    return HttpResponse(status=204)


@answers.endpoint("PUT")
def log(request: HttpRequest, *, deployment: UUID, at: datetime) -> HttpResponseBase:
    vehicle = answers.caller(request, at=at)
    found = logs.read(request)
    try:
        campaigns.record_log(vehicle, attempt=deployment, text=found.text, at=at)
    except TooManyLogsError:
        # There is nothing that the client could do about it; it would send it again and again.
        return HttpResponse(status=204)
    if found.code:
        _explain(vehicle, deployment, found, at=at)
    return HttpResponse(status=204)


def note(vehicle: Vehicle, deployment: UUID, phase: ReportPhase, word: str, *, at: datetime) -> InstallGate:
    """Report progress in the name of `word`, and return whether the vehicle may go on."""
    return campaigns.report_progress(vehicle, attempt=deployment, phase=phase, report_id=_report_id(word, at=at), at=at)


def _succeed(vehicle: Vehicle, deployment: UUID, said: str, *, at: datetime) -> None:
    report = campaigns.VehicleReport(
        deployment, _report_id(said, at=at), ReportPhase.FINISHED, ReportOutcome.SUCCESS, message=said
    )
    campaigns.record_report(vehicle, report, can_prove=True, at=at)
    campaigns.record_assertion(vehicle, attempt=deployment, at=at)


def _fail(vehicle: Vehicle, deployment: UUID, substate: str, *, at: datetime) -> None:
    campaigns.report_failure(
        vehicle, attempt=deployment, report_id=_report_id(_FAILURE, at=at), message=substate, at=at
    )


def _explain(vehicle: Vehicle, deployment: UUID, found: logs.Log, *, at: datetime) -> None:
    report = campaigns.VehicleReport(
        deployment,
        _report_id(found.code, at=at),
        ReportPhase.FINISHED,
        ReportOutcome.FAILURE,
        code=found.code,
        message=found.sentence,
    )
    campaigns.record_report(vehicle, report, can_prove=True, at=at)


def _report_id(word: str, *, at: datetime) -> str:
    # Clients repeat themselves, and number nothing: what is said again within so long is the same report. Who waits at
    # the gate asks every few seconds, for days.
    seconds = 3600 if word == GATE else 60
    return f"mender:{word}:{int(at.timestamp()) // seconds}"
