"""`manage.py serve --tls`: vehicles, publishers and people come through nginx, which ends with the server."""

import base64
import hashlib
import json
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from clients.publisher.packages import PackageSpec
from clients.vehicle.agent import Agent
from clients.vehicle.config import EcuConfig, VehicleConfig
from clients.vehicle.hooks import WillingHooks
from otaserver.demo.fleet_plan import ROLE
from otaserver.demo.scenario import Operator
from otaserver.embedded import front
from otaserver.embedded.errors import CannotServeError
from otaserver.fleet.credentials.certificates import Authority
from tests.embedded.fronts import make_client_certificate, needs_nginx, now, trusting
from tests.embedded.test_downloads import CASES, CONTENT, SHA256
from tests.fleet import provisioned
from tests.processes import ROOT, Server, descendants, environment, free_port, is_running, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("tls")]

TIMESTAMP = "/uptane/default/director/metadata/timestamp.json"


class Stage:
    """A server behind nginx, with its operator, and a package."""

    def __init__(self, server, operator, folder):
        self.server, self.operator, self.folder = server, operator, folder
        self.url = server.tls_url
        self.ca_file = server.var / "nginx" / "ca.pem"
        self._count = 0

    def client(self, certificate=None, **settings):
        return httpx.Client(base_url=self.url, verify=trusting(self.ca_file, certificate), timeout=20, **settings)

    def claim_code(self, name):
        answer = self.operator.publisher.api.post("/claim-codes", {"vehicle_ids": [name]})
        return answer["claim_codes"][0]["claim_code"]

    def fleet_authority(self):
        """The CA of the vehicles, with the key that only the server holds."""
        (key,) = (self.server.var / "online-keys").glob("fleet-ca-default-*")
        certificate = (self.server.var / "nginx" / "authorities.pem").read_text()
        return Authority(certificate, key.read_bytes())

    @contextmanager
    def vehicle(self):
        """A vehicle that has enrolled through nginx."""
        self._count += 1
        name = f"CAR{self._count}"
        config = VehicleConfig(
            state_dir=self.folder / name,
            server_url=self.url,
            tenant="default",
            vehicle_id=name,
            ecus=(EcuConfig(f"{name}-GATE", "gateway", is_primary=True),),
            director_root=self.operator.roots / "director-root.tuf-1.0.json",
            image_root=self.operator.roots / "image-root.tuf-1.0.json",
            claim_code=self.claim_code(name),
            ca_file=self.ca_file,
        )
        vehicle = RunningVehicle(config)
        assert vehicle.run().status == "idle"
        yield vehicle


class RunningVehicle:
    def __init__(self, config):
        self.config = config
        self.name = config.vehicle_id

    @property
    def certificate(self):
        return self.config.state_dir / "certificate.pem", self.config.state_dir / "certificate.key"

    def run(self):
        agent = Agent(self.config, hooks=WillingHooks())
        try:
            return agent.run_once()
        finally:
            agent.close()

    def forget_token(self):
        """Leave it nothing but its certificate."""
        path = self.config.state_dir / "credentials.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"token": ""}))


def serving(var):
    tls_port = free_port()
    server = Server(var, "--tls", OTA_TLS_PORT=tls_port)
    server.tls_url = f"https://localhost:{tls_port}"
    try:
        return begin(server)
    except AssertionError:
        server.end()
        raise


def begin(server):
    server.start(wait=False)
    ready = f"TLS: {server.tls_url}"
    before = server.said().count(ready)
    wait_for(lambda: server.said().count(ready) > before, seconds=180, what="nginx in front")
    return server


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    if not front.find_nginx(front.program_folders()):
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("tls")
    server = serving(folder / "var")
    try:
        token = (server.var / "operator-token").read_text().strip()
        with Operator.at(server.url, token, folder) as operator:
            operator.establish_trust(polling_seconds=60)
            (folder / "package.bin").write_bytes(CONTENT)
            operator.publisher.packages.publish(
                folder / "package.bin", PackageSpec(ROLE, "engine", "1.0", ("gateway",))
            )
            yield Stage(server, operator, folder)
    finally:
        server.end()


def test_a_vehicle_polls_by_its_certificate_alone(stage):
    with stage.vehicle() as vehicle:
        vehicle.forget_token()
        with_certificate = vehicle.run()
        vehicle.certificate[0].unlink()
        without = vehicle.run()

    assert (with_certificate.status, with_certificate.detail) == ("idle", "")
    assert (without.status, without.detail.partition(":")[0]) == ("not_now", "credential.invalid")


def test_a25_its_certificate_makes_it_no_other_vehicle(stage):
    with stage.vehicle() as one, stage.vehicle() as other, stage.client(one.certificate) as client:
        forged = {"X-Client-Subject": f"CN={other.name}", "X-Controller-Id": other.name}

        answer = client.get(TIMESTAMP, headers=forged)

    assert (answer.status_code, answer.json()["signed"]["vehicle_id"]) == (200, one.name)


def test_a25_forged_headers_from_an_address_that_is_not_nginx_mean_nothing(stage):
    with stage.vehicle() as vehicle:
        serial = subprocess.run(
            ["openssl", "x509", "-noout", "-serial", "-in", vehicle.certificate[0]],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    headers = {
        "X-Client-Verify": "SUCCESS",
        "X-Client-Serial": serial.removeprefix("serial="),
        "X-Client-Subject": f"CN={vehicle.name},O=default",
    }

    past_nginx = httpx.get(stage.server.url + TIMESTAMP, headers=headers)
    with stage.client() as client:
        through_nginx = client.get(TIMESTAMP, headers=headers)
    with httpx.Client(transport=httpx.HTTPTransport(local_address=front.PROXY_ADDRESS)) as client:
        as_nginx = client.get(stage.server.url + TIMESTAMP, headers=headers)

    assert (past_nginx.status_code, past_nginx.json()["code"]) == (401, "credential.invalid")
    assert (through_nginx.status_code, through_nginx.json()["code"]) == (401, "credential.invalid")
    # What the other two were refused was right, but for where it came from.
    assert as_nginx.json()["signed"]["vehicle_id"] == vehicle.name


@pytest.fixture(scope="module")
def address(stage):
    """The signed address of the package, as a vehicle is redirected to it."""
    with stage.vehicle() as vehicle, stage.client(vehicle.certificate) as client:
        answer = client.get(f"/uptane/default/repo/targets/{ROLE}/engine-1.0")
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{stage.url}/downloads/{SHA256}?")
    return answer.headers["location"].removeprefix(stage.url)


COMPARED = ["content-type", "content-length", "content-range", "etag", "cache-control", "last-modified", "allow"]


@pytest.mark.parametrize(("method", "headers", "status"), CASES.values(), ids=CASES)
def test_nginx_sends_packages_as_the_server_would(stage, address, method, headers, status):
    with stage.client() as client:
        through_nginx = client.request(method, address, headers=headers)
    past_nginx = httpx.request(method, stage.server.url + address, headers=headers)

    assert (through_nginx.status_code, past_nginx.status_code) == (status, status)
    assert {name: through_nginx.headers.get(name) for name in COMPARED} == {
        name: past_nginx.headers.get(name) for name in COMPARED
    }
    assert through_nginx.content == past_nginx.content
    assert "x-accel-redirect" not in through_nginx.headers


def test_package_bytes_do_not_pass_through_the_server(stage, address):
    with stage.client() as client:
        accelerated = client.get(address, headers={"Range": "bytes=1000-1999"})
        judged = client.get(address, headers={"If-Match": f'"{SHA256}"'})

    assert (accelerated.status_code, accelerated.content) == (206, CONTENT[1000:2000])
    assert (judged.status_code, judged.content) == (200, CONTENT)
    # The server writes this into every answer of its own.
    assert "x-content-type-options" not in accelerated.headers
    assert "x-content-type-options" in judged.headers


@pytest.mark.parametrize(
    "path",
    [f"/_packages/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}", "/_packages/", f"/downloads/{SHA256}"],
    ids=["file", "folder", "address"],
)
def test_packages_are_sent_to_nobody_without_a_signed_address(stage, path):
    with stage.client() as client:
        assert client.get(path).status_code in (403, 404)


def test_a_claim_code_and_a_package_arrive_in_chunks(stage):
    """Bodies without Content-Length, one collected by nginx, one passed on as it comes."""
    content = secrets.token_bytes(3_000_000)
    token = (stage.server.var / "operator-token").read_text().strip()
    declared = {
        "name": "chunked",
        "version": "1",
        "role": ROLE,
        "hardware_ids": ["gateway"],
        "release_counter": 1,
        "filename": "chunked.bin",
        "length": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }

    def parts(body):
        yield from (body[start : start + 65536] for start in range(0, len(body), 65536))

    with stage.client(headers={"Authorization": f"Bearer {token}"}) as client:
        made = client.post(
            "/api/v1/packages",
            content=parts(json.dumps(declared).encode()),
            headers={"Content-Type": "application/json"},
        )
        address = f"/api/v1/packages/{made.json()['id']}/content"
        sent = client.patch(
            address,
            content=parts(content),
            headers={"Content-Type": "application/octet-stream", "Upload-Offset": "0"},
        )

    assert (made.status_code, sent.headers.get("Upload-Offset")) == (201, "3000000")


def test_slow_bodies_delay_no_poll_and_no_other_body(stage):
    with stage.vehicle() as vehicle, stage.client(vehicle.certificate) as client:
        slow = []
        try:
            for _ in range(40):
                plain = socket.create_connection(("localhost", int(stage.url.rpartition(":")[2])), timeout=10)
                slow.append(
                    trusting(stage.ca_file, vehicle.certificate).wrap_socket(plain, server_hostname="localhost")
                )
                slow[-1].sendall(
                    b"POST /uptane/default/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n["
                )
            answers = [client.post("/uptane/default/events", content=b"[]").status_code for _ in range(10)]
            poll = client.get(TIMESTAMP)
        finally:
            for connection in slow:
                connection.close()

    assert answers == [200] * 10
    assert (poll.status_code, poll.elapsed.total_seconds() < 2) == (200, True)


def test_people_sign_in_to_the_console_through_nginx(stage):
    password = (stage.server.var / "console-password").read_text().strip()
    with stage.client() as client:
        page = client.get("/console/login/")
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        signed_in = client.post("/console/login/", data=form, headers={"Origin": stage.url, "Referer": str(page.url)})

    assert (signed_in.status_code, "sessionid" in signed_in.cookies) == (302, True)


def test_a_revoked_certificate_is_refused_within_a_second(stage):
    with stage.vehicle() as vehicle, stage.client(vehicle.certificate) as client:
        before = client.get(TIMESTAMP).status_code
        stage.operator.publisher.api.post(f"/vehicles/{vehicle.name}/credentials/revoke", {"reason": "Stolen."})
        time.sleep(1)
        after = client.get(TIMESTAMP)

    assert (before, after.status_code, after.json()["code"]) == (200, 401, "credential.invalid")


def test_a_vehicle_whose_certificate_has_expired_enrols_again_by_a_claim_code(stage):
    """nginx makes it nobody, which is enough to enrol; the new certificate then does alone."""
    with stage.vehicle() as vehicle:
        authority = stage.fleet_authority()
        expired = make_client_certificate(
            authority, stage.folder, vehicle.name, tenant="default", at=now() - timedelta(days=826)
        )
        for path, other in zip(vehicle.certificate, expired, strict=True):
            path.write_bytes(other.read_bytes())
        stage.operator.publisher.api.post(f"/vehicles/{vehicle.name}/credentials/revoke", {"reason": "Old."})
        # Who called a moment ago may be known for so long.
        time.sleep(1)
        refused = vehicle.run()
        vehicle.config = replace(vehicle.config, claim_code=stage.claim_code(vehicle.name))
        enrolled = vehicle.run()
        vehicle.forget_token()
        by_certificate = vehicle.run()

    assert (refused.status, refused.detail.partition(":")[0]) == ("not_now", "credential.invalid")
    assert (enrolled.status, by_certificate.status) == ("idle", "idle")


def test_certificates_of_an_old_and_of_a_new_ca_are_good_together(stage):
    known = stage.server.var / "nginx" / "authorities.pem"
    before = known.read_text()
    with stage.vehicle() as old:
        stage.operator.publisher.api.post("/fleet-authorities/rotate", {"reason": "Age."})
        wait_for(lambda: known.read_text() != before, seconds=60, what="another bundle")
        with stage.vehicle() as new:
            for vehicle in (old, new):
                vehicle.forget_token()
            # nginx loads what it was told of a moment ago.
            wait_for(lambda: new.run().status == "idle", seconds=20, what="the new CA in nginx")

            assert old.run().status == "idle"
    assert known.read_text().count("BEGIN CERTIFICATE") == before.count("BEGIN CERTIFICATE") + 1


def test_the_authority_of_a_new_tenant_is_known_to_nginx_soon(stage):
    known = stage.server.var / "nginx" / "authorities.pem"
    before = known.read_text()
    made = subprocess.run(
        [sys.executable, "manage.py", "create_tenant", "second"],
        cwd=ROOT,
        env=environment(stage.server.var),
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode == 0, made.stderr
    wait_for(lambda: known.read_text() != before, seconds=40, what="another bundle")
    assert known.read_text().startswith(before)
    assert known.read_text().count("BEGIN CERTIFICATE") == before.count("BEGIN CERTIFICATE") + 1


def test_vehicles_that_are_provisioned_get_the_ca_that_the_server_has_made(stage):
    answer = httpx.post(
        f"{stage.server.url}/api/v1/provisioning-credentials",
        headers={"Authorization": f"Bearer {(stage.server.var / 'operator-token').read_text().strip()}"},
        json={"name": "line-1", "address": f"{stage.server.tls_url}/aktualizr/default"},
        timeout=30,
    )

    assert answer.status_code == 201, answer.text
    _, packed = provisioned.unpacked(base64.b64decode(answer.json()["archive"]))
    trusted = [each.certificate.public_bytes(Encoding.PEM) for each in provisioned.opened(packed).additional_certs]
    assert (stage.server.var / "nginx" / "ca.pem").read_bytes() in trusted


def test_the_files_of_nginx_are_for_their_owner_alone(stage):
    place = stage.server.var / "nginx"

    modes = {path.name: path.stat().st_mode & 0o077 for path in (place / "server.key", place / "ca.key", place)}
    assert modes == {"server.key": 0, "ca.key": 0, "nginx": 0}


def test_without_nginx_it_says_what_to_install(tmp_path):
    with pytest.raises(CannotServeError, match="apt-get install nginx"):
        front.find_nginx([str(tmp_path)])


@needs_nginx
def test_where_something_else_listens_it_does_not_start_and_says_so(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        refused = subprocess.run(
            [sys.executable, "manage.py", "serve", "--tls"],
            cwd=ROOT,
            env=environment(tmp_path / "var", OTA_PORT=free_port(), OTA_TLS_PORT=taken),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert refused.returncode == 1
    assert f"127.0.0.1:{taken} cannot be used" in refused.stderr
    assert "OTA_TLS_PORT" in refused.stderr


def test_nginx_ends_with_the_server_however_that_ends_and_its_certificate_stays(stage):
    server = stage.server
    processes, certificate = descendants(server.process.pid), (server.var / "nginx" / "server.pem").read_text()
    assert server.child("nginx: master") in processes

    server.stop(signal.SIGKILL)
    wait_for(lambda: not any(is_running(pid) for pid in processes), seconds=20, what="the end of every child")
    begin(server)
    processes = descendants(server.process.pid)
    code, _ = server.stop(signal.SIGTERM)

    assert code == 0
    assert [pid for pid in processes if is_running(pid)] == []
    assert (server.var / "nginx" / "server.pem").read_text() == certificate
