"""What real clients were seen to send (SWUpdate 2022.12, rauc-hawkbit-updater 1.4, rauc-hawkbit), byte for byte."""

import http.client
import io
import json
import socket

import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.models import Report
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import make_running, make_versions
from tests.factories import NOON, make_group, make_release, make_tenant
from tests.vehicle_api.conftest import make_stored_package
from tests.vehicle_api.ddi.conftest import CONTENT, GATEWAY, TOKEN, World, make_device

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), pytest.mark.any_database]
LENGTH = len(CONTENT)


class Wire:
    """Sends bytes, and returns what came back: status, headers and body."""

    def __init__(self, live_server, world):
        self.host, self.port = live_server.url.removeprefix("http://").split(":")
        self.world = world

    @property
    def base(self):
        return f"http://{self.host}:{self.port}/acme/controller/v1/dev1"

    def send(self, method, path, lines, body=b""):
        address = path.removeprefix(f"http://{self.host}:{self.port}")
        head = [f"{method} {address} HTTP/1.1", f"Host: {self.host}:{self.port}", *lines]
        if method in ("POST", "PUT"):
            head.append(f"Content-Length: {len(body)}")
        request = "\r\n".join([*head, "Connection: close", "", ""]).encode() + body
        with socket.create_connection((self.host, int(self.port))) as connection:
            connection.sendall(request)
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        # Expect: 100-continue is answered before the answer proper.
        received = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        answer = http.client.HTTPResponse(_Received(received), method=method)
        answer.begin()
        return answer.status, dict(answer.getheaders()), answer.read()


class _Received:
    def __init__(self, data):
        self._data = data

    def makefile(self, *args):
        return io.BytesIO(self._data)


def make_wire(live_server, number, **plan):
    """A vehicle whose next order has this number."""
    tenant = make_tenant("acme")
    vehicle, device = make_device(tenant)
    Vehicle.objects.filter(pk=vehicle.pk).update(last_attempt_number=number - 1, is_manifest_wanted=False)
    package = make_stored_package(
        tenant, CONTENT, "board", "2.0", hardware_ids=("board",), filename="board.swu", sha1="5" * 40, md5="d" * 32
    )
    release = make_release(tenant, package, name="car", version="2.0")
    old = make_versions(tenant, hardware=("board",))
    campaign = make_running(tenant=tenant, old=old, release=release, group=make_group(tenant, vehicle), **plan)
    return Wire(live_server, World(tenant, vehicle, device, campaign))


SWUPDATE = [
    "User-Agent: libcurl-agent/1.0",
    "Content-Type: application/json",
    "Accept: application/json",
    "charsets: utf-8",
    "charsets: utf-8",
    f"Authorization: TargetToken {TOKEN}",
]
SWUPDATE_FILE = [
    "User-Agent: libcurl-agent/1.0",
    "Content-Type: application/octet-stream",
    "Accept: application/octet-stream",
    f"Authorization: TargetToken {TOKEN}",
]
RHU = [
    "User-Agent: rauc-hawkbit-c-agent/1.0",
    "Accept: application/json;charset=UTF-8",
    f"Authorization: TargetToken {TOKEN}",
]
RHU_BODY = [*RHU, "Content-Type: application/json;charset=UTF-8"]
RHU_FILE = ["User-Agent: rauc-hawkbit-c-agent/1.0", "Accept: application/octet-stream", RHU[2]]


def poll(wire, lines):
    """Poll, check what every client needs of the answer, and return its links."""
    status, headers, body = wire.send("GET", wire.base, lines)
    assert (status, headers["Content-Length"], headers["Content-Type"]) == (200, str(len(body)), "application/json")
    assert "Transfer-Encoding" not in headers
    found = json.loads(body)
    assert found["config"] == {"polling": {"sleep": "00:05:27"}}
    return {name: link["href"] for name, link in found.get("_links", {}).items()}


def done(wire, method, path, lines, body):
    """Send a write, which must be answered with exactly 200 and nothing else."""
    status, headers, content = wire.send(method, path, lines, body)
    assert (status, headers["Content-Length"], content) == (200, "0", b"")


def deployment_body(wire, number, mode="forced"):
    package = wire.world.package
    href = f"{wire.base}/softwaremodules/{package.pk}/artifacts/board.swu"
    return (
        f'{{"id":"{number}","deployment":{{"download":"{mode}","update":"{mode}","chunks":[{{"part":"os",'
        f'"version":"2.0","name":"board","artifacts":[{{"filename":"board.swu","hashes":{{"sha1":"{"5" * 40}",'
        f'"md5":"{"d" * 32}","sha256":"{package.sha256}"}},"size":{LENGTH},"_links":{{"download-http":{{"href":"{href}"'
        f'}},"md5sum-http":{{"href":"{href}.MD5SUM"}}}}}}]}}]}}}}'
    ).encode()


@pytest.mark.usefixtures("server_clock")
def test_swupdate_from_its_first_poll_to_its_confirmation(live_server):
    wire = make_wire(live_server, 4)
    link = poll(wire, SWUPDATE)["deploymentBase"]
    assert link.partition("?c=")[0] == f"{wire.base}/deploymentBase/4"
    assert wire.send("GET", link, SWUPDATE)[::2] == (200, deployment_body(wire, 4))
    done(
        wire,
        "PUT",
        f"{wire.base}/configData",
        [*SWUPDATE, "Expect: 100-continue"],
        b'{"id":"","time":"20261122T195531","status":{"result":{"finished":"success"},"execution":"closed",'
        b'"details":[""]},"data":{"serial":"S-1","hwRev":"1.0"}}',
    )
    assert dict(wire.world.vehicle.reported_attributes.values_list("name", "text")) == {"serial": "S-1", "hwRev": "1.0"}
    feedback = f"{wire.base}/deploymentBase/4/feedback"
    done(
        wire,
        "POST",
        feedback,
        SWUPDATE,
        b'{"id":4,"time":"20261122T195532","status":{"result":{"progress":{"cnt":0,"of":1},"finished":"none"},'
        b'"execution":"proceeding","details":["Installing Update Chunk Artifacts."]}}',
    )
    artifact = f"{wire.base}/softwaremodules/{wire.world.package.pk}/artifacts/board.swu"
    status, headers, body = wire.send("HEAD", artifact, SWUPDATE_FILE)
    assert (status, headers["Content-Length"], headers["Accept-Ranges"], body) == (200, str(LENGTH), "bytes", b"")
    status, headers, body = wire.send("GET", artifact, [*SWUPDATE_FILE, "Range: bytes=10000-"])
    assert (status, headers["Content-Range"], body) == (206, f"bytes 10000-{LENGTH - 1}/{LENGTH}", CONTENT[10000:])
    logs = ["[network_initializer] : Software update started " + "x" * 100] * 48
    told = json.dumps(
        {
            "id": 4,
            "time": "20261122T195533",
            "status": {
                "result": {"progress": {"cnt": 0, "of": 1}, "finished": "none"},
                "execution": "proceeding",
                "details": logs,
            },
        }
    )
    assert len(told) > 7200
    done(wire, "POST", feedback, SWUPDATE, told.encode())
    for text in (b"Installed Chunk.", b"All Chunks Installed."):
        done(
            wire,
            "POST",
            feedback,
            SWUPDATE,
            b'{"id":4,"time":"20261122T195534","status":{"result":{"progress":{"cnt":1,"of":1},"finished":"none"},'
            b'"execution":"proceeding","details":["' + text + b'"]}}',
        )
    assert wire.world.state == "installing"
    # Until it is restarted it goes on to poll, and the action must stay open.
    assert "deploymentBase" in poll(wire, SWUPDATE)
    done(
        wire,
        "POST",
        feedback,
        SWUPDATE,
        b'{"id":4,"time":"20261122T195600","status":{"result":{"finished":"success"},"execution":"closed",'
        b'"details":["Update Installed."]}}',
    )

    assert wire.world.state == "soaking"
    assert set(poll(wire, SWUPDATE)) == {"installedBase", "configData"}


@pytest.mark.usefixtures("server_clock")
def test_swupdate_that_failed_and_its_tenant_in_capitals(live_server):
    wire = make_wire(live_server, 4)
    body = (
        b'{"id":4,"time":"20261122T195534","status":{"result":{"finished":"failure"},"execution":"closed",'
        b'"details":["ERROR : Signature verification failed","ERROR : Image invalid or corrupted. Not "]}}'
    )

    done(wire, "POST", wire.base.replace("/acme/", "/ACME/") + "/deploymentBase/4/feedback", SWUPDATE, body)

    assert wire.world.state == "failed"


@pytest.mark.usefixtures("server_clock")
def test_swupdate_that_is_told_to_stop(live_server):
    wire = make_wire(live_server, 71)
    operations.stop_campaign(wire.world.campaign, reason="smoke", by="alice", at=NOON)
    link = poll(wire, SWUPDATE)["cancelAction"]
    assert link == f"{wire.base}/cancelAction/71"
    assert wire.send("GET", link, SWUPDATE)[::2] == (200, b'{"id":"71","cancelAction":{"stopId":"71"}}')
    done(
        wire,
        "POST",
        f"{wire.base}/deploymentBase/71/feedback",
        SWUPDATE,
        b'{"id":71,"time":"20261122T195534","status":{"result":{"progress":{"cnt":0,"of":1},"finished":"none"},'
        b'"execution":"proceeding","details":["x"]}}',
    )
    done(
        wire,
        "POST",
        f"{link}/feedback",
        SWUPDATE,
        b'{"id":71,"time":"20261122T195535","status":{"result":{"finished":"success"},"execution":"closed",'
        b'"details":["cancellation acknowledged."]}}',
    )

    assert wire.world.state == "withdrawn"
    assert poll(wire, SWUPDATE) == {}


@pytest.mark.usefixtures("server_clock")
def test_rauc_hawkbit_updater_from_its_first_poll_to_its_end(live_server):
    wire = make_wire(live_server, 42)
    Vehicle.objects.update(is_manifest_wanted=True)
    links = poll(wire, RHU)
    done(
        wire,
        "PUT",
        links["configData"],
        RHU_BODY,
        b'{"time":"20261122T200646","status":{"result":{"finished":"success"},"execution":"closed"},'
        b'"data":{"product":"Terminator","model":"T-1000","serialnumber":"8922673153","hw_revision":"2"}}',
    )
    assert "configData" not in poll(wire, RHU)
    assert wire.send("GET", links["deploymentBase"], RHU)[::2] == (200, deployment_body(wire, 42))
    artifact = f"{wire.base}/softwaremodules/{wire.world.package.pk}/artifacts/board.swu"
    assert wire.send("GET", artifact, RHU_FILE)[::2] == (200, CONTENT)
    status, headers, body = wire.send("GET", artifact, [*RHU_FILE, f"Range: bytes={LENGTH}-"])
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{LENGTH}", b"")
    status, headers, body = wire.send("GET", artifact, [*RHU_FILE, "Range: bytes=16-31"])
    assert (status, headers["Content-Range"], body) == (206, f"bytes 16-31/{LENGTH}", CONTENT[16:32])
    feedback = f"{wire.base}/deploymentBase/42/feedback"
    steps = [
        "Download complete. 8.80 MB/s",
        "File checksum OK.",
        "installing",
        "  0% Installing",
        "100% Installing done.",
    ]
    for text in steps:
        done(
            wire,
            "POST",
            feedback,
            RHU_BODY,
            b'{"id":"42","time":"20261122T200647","status":{"result":{"finished":"none"},"execution":"proceeding",'
            b'"details":["' + text.encode() + b'"]}}',
        )
    assert wire.world.state == "installing"
    done(
        wire,
        "POST",
        feedback,
        RHU_BODY,
        b'{"id":"42","time":"20261122T200650","status":{"result":{"finished":"success"},"execution":"closed",'
        b'"details":["Software bundle installed successfully."]}}',
    )

    assert wire.world.state == "soaking"
    assert Report.objects.exclude(report_id__startswith="sent").count() == 6


@pytest.mark.usefixtures("server_clock")
def test_rauc_hawkbit_updater_that_cannot_stop_any_more(live_server):
    wire = make_wire(live_server, 42)
    operations.stop_campaign(wire.world.campaign, reason="smoke", by="alice", at=NOON)
    link = poll(wire, RHU)["cancelAction"]
    assert wire.send("GET", link, RHU)[0] == 200

    done(
        wire,
        "POST",
        f"{wire.base}/cancelAction/42/feedback",
        RHU_BODY,
        b'{"id":"42","time":"20261122T200650","status":{"result":{"finished":"success"},"execution":"rejected",'
        b'"details":["Cancellation impossible, installation started already."]}}',
    )

    assert wire.world.state == "installing"


@pytest.mark.usefixtures("server_clock")
def test_rauc_hawkbit_updater_with_a_gateway_token_that_only_downloaded(live_server):
    wire = make_wire(live_server, 42)
    fleet.create_gateway_token(wire.world.tenant, name="line", token=GATEWAY, by="alice", at=NOON)
    lines = [*RHU_BODY[:2], f"Authorization: GatewayToken {GATEWAY}", RHU_BODY[3]]

    done(
        wire,
        "POST",
        f"{wire.base}/deploymentBase/42/feedback",
        lines,
        b'{"id":"42","time":"20261122T200650","status":{"result":{"finished":"success"},"execution":"downloaded",'
        b'"details":["Download complete."]}}',
    )

    assert wire.world.state == "downloaded"


@pytest.mark.usefixtures("server_clock")
def test_rauc_hawkbit_for_python_with_empty_progress(live_server):
    wire = make_wire(live_server, 42)
    lines = [
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate",
        f"Authorization: TargetToken {TOKEN}",
        "Content-Type: application/json",
    ]
    assert "?c=" in poll(wire, lines)["deploymentBase"]
    done(
        wire,
        "PUT",
        f"{wire.base}/configData",
        lines,
        b'{"id": "", "time": "20261122T200650", "status": {"result": {"finished": "success"}, "execution": "closed", '
        b'"details": []}, "data": {"MAC": "00:11"}}',
    )
    done(
        wire,
        "POST",
        f"{wire.base}/deploymentBase/42/feedback",
        lines,
        b'{"id": "42", "time": "20261122T200650", "status": {"result": {"finished": "none", "progress": {}}, '
        b'"execution": "proceeding", "details": ["Installing"]}}',
    )
    assert wire.world.state == "downloading"


@pytest.mark.usefixtures("server_clock")
def test_zephyr_that_says_nothing_but_the_status(live_server):
    wire = make_wire(live_server, 8)
    fleet.change_ddi_settings(wire.world.tenant, {"chunk_parts": {"board": "bApp"}}, by="alice", at=NOON)
    lines = [f"Authorization: TargetToken {TOKEN}", "Content-Type: application/json;charset=UTF-8"]
    status, headers, body = wire.send("GET", wire.base, lines)
    link = json.loads(body)["_links"]["deploymentBase"]["href"].rpartition("/v1/dev1/")[2]
    assert (status, headers["Content-Length"]) == (200, str(len(body)))
    assert len(link) <= 49
    status, headers, body = wire.send("GET", f"{wire.base}/{link}", lines)
    assert (status, headers["Content-Length"], len(body) <= 1100) == (200, str(len(body)), True)
    chunk = json.loads(body)["deployment"]["chunks"][0]
    assert (chunk["part"], len(chunk["artifacts"][0]["hashes"]["sha256"])) == ("bApp", 64)
    path = chunk["artifacts"][0]["_links"]["download-http"]["href"].partition(f":{wire.port}")[2]
    assert "/acme/controller/v1" in path
    assert len(path) < 200

    done(
        wire,
        "POST",
        f"{wire.base}/deploymentBase/8/feedback",
        lines,
        b'{"status":{"execution":"closed","result":{"finished":"success"}}}',
    )

    assert wire.world.state == "soaking"
