"""A tenant with a vehicle of each protocol, what each asks when it polls, and WSGI applications to ask."""

import copy
import io
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from otaserver import clock
from otaserver.campaigns.models import Attempt
from otaserver.errors import OtaError
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Credential, Ecu, Vehicle
from otaserver.fleet.operations import KeylessEcu
from otaserver.fleet.operations.identity import token_fingerprint
from otaserver.fleet.operations.sessions import begin_session
from otaserver.fleet.states import CredentialKind, Protocol
from otaserver.front import Front
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import install, make_versions
from tests.director.trust import make_trust
from tests.factories import NOON, make_tenant, make_vehicle

PROXY = "10.1.2.3"
MEGABYTE = 1024**2


@dataclass(frozen=True)
class Poll:
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes = b""
    peer: str = PROXY

    def sending(self, **headers: str) -> "Poll":
        return replace(self, headers=self.headers | {name.replace("_", "-"): value for name, value in headers.items()})

    def at(self, path: str, method: str = "GET", body: Any = None) -> "Poll":
        headers = {name: value for name, value in self.headers.items() if name != "If-None-Match"}
        return Poll(path, headers, method, b"" if body is None else json.dumps(body).encode(), self.peer)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(application: Any, poll: Poll, **more: Any) -> Answer:
    """Ask as a WSGI server does. Ids of requests are left out of the answer: each has its own."""
    headers = {"Host": "testserver", "X-Request-Id": "7"} | poll.headers
    path, _, query = poll.path.partition("?")
    environ = {
        "REQUEST_METHOD": poll.method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": poll.peer,
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(poll.body),
        "wsgi.errors": io.StringIO(),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
        **({"CONTENT_LENGTH": str(len(poll.body)), "CONTENT_TYPE": "application/json"} if poll.body else {}),
        **more,
    }
    said: list[Any] = []
    response = application(environ, lambda status, headers, *more: said.append((status, headers)))
    body = b"".join(response)
    getattr(response, "close", lambda: None)()
    status, sent = said[-1]
    headers = {name.lower(): value for name, value in sent}
    assert len(headers) == len(sent)
    assert headers.pop("x-request-id") == environ["HTTP_X_REQUEST_ID"]
    return Answer(int(status[:3]), headers, re.sub(rb'"request_id": "[^"]+"', b"", body))


@dataclass
class Passed:
    """An application that counts what is passed on to it."""

    application: Any
    count: int = 0
    before_answering: Callable[[], None] | None = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.count += 1
        response = self.application(environ, start_response)
        if self.before_answering is not None:
            self.before_answering()
        return response


@dataclass
class World:
    tenant: Tenant
    trust: Any
    old: Any
    session: str
    etags: dict[str, str] = field(default_factory=dict)

    def vehicle(self, name: str) -> Vehicle:
        return Vehicle.objects.select_related("tenant").get(vehicle_id=name)

    def polls(self) -> dict[str, Poll]:
        """What each of the vehicles asks: of the two of Uptane with what it was answered last."""
        certificate = {"X-Client-Verify": "SUCCESS", "X-Client-Serial": "0A", "X-Client-Subject": "CN=AKT1"}
        says = {"device_provides": {"artifact_name": "gateway-1.0", "device_type": "gateway"}}
        known = {"If-None-Match": self.etags["uptane"]} if "uptane" in self.etags else {}
        return {
            "uptane": Poll(
                "/uptane/acme/director/metadata/timestamp.json", {"Authorization": "Bearer otav_secret"} | known
            ),
            "root": Poll("/aktualizr/acme/director/2.root.json", certificate),
            "aktualizr": Poll("/aktualizr/acme/director/targets.json", certificate),
            "ddi": Poll("/acme/controller/v1/DDI1", {"Authorization": "TargetToken 0123456789abcdef"}),
            "gateway": Poll("/acme/controller/v1/DDI2", {"Authorization": "GatewayToken gateway-secret"}),
            "mender": Poll(
                "/api/devices/v2/deployments/device/deployments/next",
                {"Authorization": f"Bearer {self.session}"},
                "POST",
                json.dumps(says).encode(),
            ),
        }

    def others(self) -> dict[str, Poll]:
        """What the same vehicles ask beside their polls, most of them of an order that may or may not be there."""
        polls = self.polls()
        attempt = Attempt.objects.filter(vehicle__vehicle_id="MEN1").order_by("-number").first()
        deployment = f"/api/devices/v1/deployments/device/deployments/{attempt.pk if attempt else uuid.uuid4()}"
        said = {"execution": "proceeding", "result": {"finished": "none"}}
        director = "/uptane/acme/director/metadata/"
        found = {"status": polls["mender"].at(f"{deployment}/status", "PUT", {"status": "downloading"})}
        for name in ("targets", "2.snapshot"):
            found[f"uptane {name}"] = polls["uptane"].at(f"{director}{name}.json")
        found["snapshot"] = polls["aktualizr"].at("/aktualizr/acme/director/snapshot.json")
        for name in ("ddi", "gateway"):
            action = f"{polls[name].path}/deploymentBase/1"
            found[f"{name} action"] = polls[name].at(action)
            found[f"{name} feedback"] = polls[name].at(f"{action}/feedback", "POST", {"id": "1", "status": said})
        return found

    def hear(self, name: str, answer: Answer) -> None:
        if answer.status == 200 and "etag" in answer.headers:
            self.etags[name] = answer.headers["etag"]


def make_world() -> World:
    trust = make_trust(make_tenant("acme"))
    tenant, old = trust.tenant, make_versions(trust.tenant, hardware=("gateway",))
    uptane = make_vehicle(tenant, "UPT1")
    aktualizr = make_vehicle(tenant, "AKT1", protocol=Protocol.AKTUALIZR)
    _give(uptane, CredentialKind.TOKEN, token_fingerprint("otav_secret"))
    _give(aktualizr, CredentialKind.CERTIFICATE, "a")
    for name in ("DDI1", "DDI2"):
        fleet.declare_vehicle(tenant, name, protocol=Protocol.DDI, ecus=[KeylessEcu(name, "gateway")], at=NOON)
    ddi = Vehicle.objects.select_related("tenant").get(vehicle_id="DDI1")
    fleet.give_token(ddi, token="0123456789abcdef", by="alice", at=NOON)
    fleet.create_gateway_token(tenant, name="hub", token="gateway-secret", by="alice", at=NOON)
    fleet.declare_vehicle(tenant, "MEN1", protocol=Protocol.MENDER, ecus=[KeylessEcu("MEN1", "gateway")], at=NOON)
    for vehicle in Vehicle.objects.of(tenant):
        install(vehicle, old)
    # What it says that it runs is what is known.
    Ecu.objects.filter(vehicle__vehicle_id="MEN1").update(installed_name="gateway", installed_version="1.0")
    return World(tenant, trust, old, begin_session(Vehicle.objects.get(vehicle_id="MEN1"), at=NOON))


def _give(vehicle: Vehicle, kind: str, fingerprint: str) -> None:
    ends = NOON + timedelta(days=365)
    Credential.objects.create(vehicle=vehicle, kind=kind, fingerprint=fingerprint, created_at=NOON, expires_at=ends)


def make_front(application: Any) -> Front:
    """A front whose changes the test reads, as if a moment had gone by."""
    front = Front(application, max_bytes=MEGABYTE, background=False)
    front.changes.read()
    return front


def another(front: Front, application: Any) -> Front:
    """Return a front that knows what this one does, and learns for itself from here on."""
    made = Front(application, max_bytes=MEGABYTE, background=False)
    for of_made, of_front in ((made.answers, front.answers), (made.changes, front.changes)):
        known = {name: value for name, value in vars(of_front).items() if name != "_lock"}
        vars(of_made).update({name: copy.copy(value) for name, value in known.items()})
    return made


def attempt(change: Callable[[], object]) -> bool:
    """Return whether a change could be made just now."""
    try:
        change()
    except OtaError:
        return False
    return True


def now() -> Any:
    return clock.now()
