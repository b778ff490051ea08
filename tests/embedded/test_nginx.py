"""`deploy/nginx.conf` under the real nginx: what of a request reaches the server, and in whose name."""

import re
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta

import pytest

from otaserver.fleet.credentials import certificates
from tests.embedded.fronts import Front, make_client_certificate, needs_nginx, now, took, trusting
from tests.processes import ROOT, environment, free_port, get, wait_for

pytestmark = [pytest.mark.e2e, needs_nginx]

IDENTITY = ["CLIENT_VERIFY", "CLIENT_SERIAL", "CLIENT_SUBJECT", "CONTROLLER_ID", "AUTHORITY", "SSL_CLIENT_CN"]
FORGED = {
    "X-Client-Verify": "SUCCESS",
    "X-Client-Serial": "2a",
    "X-Client-Subject": "CN=CAR1",
    "X-Controller-Id": "CAR1",
    "X-Authority": "north",
    "X-Authority-0": "north",
    "X-Authority-77": "north",
    "X-Ssl-Client-Cn": "CAR1",
    "X-Ssl-Issuer-Hash-1": "north",
    "X-Ssl-Issuer-Hash-9": "north",
    "X_Client_Verify": "SUCCESS",
    "X_Controller_Id": "CAR1",
    "X-Client_Verify": "SUCCESS",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "elsewhere.example",
}
# What nginx says itself, whoever calls.
ALWAYS = {
    "HOST",
    "X_REQUEST_ID",
    "X_FORWARDED_FOR",
    "X_FORWARDED_HOST",
    "X_FORWARDED_PROTO",
    "X_CLIENT_VERIFY",
    "ACCEPT",
    "USER_AGENT",
}


@pytest.fixture(scope="module")
def authority():
    return certificates.make_authority("north", at=now())


@pytest.fixture(scope="module")
def nginx(tmp_path_factory, authority):
    web_port = free_port()
    command = ["--interface", "wsgi", "--port", str(web_port), "--blocking-threads", "4", "--workers", "1"]
    server = subprocess.Popen(
        [sys.executable, "-m", "granian", *command, "tests.embedded.said:application"],
        cwd=ROOT,
        env=environment(tmp_path_factory.mktemp("said")),
    )
    try:
        wait_for(lambda: get(f"http://127.0.0.1:{web_port}/").status_code == 200)
        folder = tmp_path_factory.mktemp("nginx")
        other = certificates.make_authority("south", at=now())
        found = Front(folder, port=free_port(), web_ports=[web_port], authorities=[authority, other])
        yield found
        found.end()
    finally:
        server.terminate()
        server.wait()


def said(nginx, certificate=None, **settings):
    with nginx.client(certificate) as client:
        return client.get("/", **settings).json()["headers"]


def test_a_verified_certificate_is_told_in_every_family_of_headers(nginx, authority, tmp_path):
    certificate = make_client_certificate(authority, tmp_path)

    headers = said(nginx, certificate)

    assert headers["X_CLIENT_VERIFY"] == "SUCCESS"
    assert headers["X_CLIENT_SERIAL"].lower().lstrip("0") == certificate[0].stem
    assert headers["X_CLIENT_SUBJECT"] == "CN=CAR1,O=north"
    assert (headers["X_CONTROLLER_ID"], headers["X_AUTHORITY"]) == ("CAR1", "north")
    assert (headers["X_SSL_CLIENT_CN"], headers["X_SSL_ISSUER_HASH_1"]) == ("CAR1", "north")
    assert headers["X_FORWARDED_PROTO"] == "https"


def test_a25_none_of_a_clients_own_identity_headers_gets_through(nginx):
    headers = said(nginx, headers=FORGED)

    assert set(headers) == ALWAYS
    assert (headers["X_CLIENT_VERIFY"], headers["X_FORWARDED_PROTO"]) == ("NONE", "https")
    assert headers["X_FORWARDED_HOST"] == headers["HOST"]


def test_a25_a_certificate_of_ones_own_adds_no_weight_to_forged_headers(nginx, authority, tmp_path):
    certificate = make_client_certificate(authority, tmp_path, "CAR2")

    forged, plain = said(nginx, certificate, headers=FORGED), said(nginx, certificate)

    # Every request has a number of its own.
    assert forged.pop("X_REQUEST_ID") != plain.pop("X_REQUEST_ID")
    assert forged == plain


@pytest.mark.parametrize("fault", ["another CA", "expired"])
def test_a25_a_certificate_that_does_not_hold_makes_its_sender_nobody(nginx, authority, tmp_path, fault):
    if fault == "expired":
        certificate = make_client_certificate(authority, tmp_path, at=now() - timedelta(days=826))
    else:
        certificate = make_client_certificate(certificates.make_authority("north", at=now()), tmp_path)

    headers = said(nginx, certificate)

    assert headers["X_CLIENT_VERIFY"].startswith("FAILED:")
    assert {name for name in headers if name.startswith(("X_CONTROLLER", "X_AUTH", "X_SSL"))} == set()


def test_whoever_has_a_certificate_that_does_not_hold_can_still_send_bodies(nginx, tmp_path):
    certificate = make_client_certificate(certificates.make_authority("north", at=now()), tmp_path)

    with nginx.client(certificate) as client:
        answers = [client.post("/enrol", content=b"x" * length).json() for length in (5, 5_000_000)]

    assert [answer["length"] for answer in answers] == ["5", "5000000"]
    assert [len(answer["body"]) for answer in answers] == [5, 5_000_000]


def test_the_common_name_is_read_only_where_there_is_exactly_one(nginx, authority, tmp_path):
    odd = make_client_certificate(authority, tmp_path, "CAR1", tenant="north,CN=CAR2")

    headers = said(nginx, odd)

    assert headers["X_CLIENT_SUBJECT"] == r"CN=CAR1,O=north\,CN=CAR2"
    assert "X_CONTROLLER_ID" not in headers


@pytest.mark.parametrize(
    ("vehicle_id", "told"),
    [("dev+1", "dev+1"), ("a++b", "a++b"), ("a+b+c+", "a+b+c+"), ("a+b+c+d+e", None), ("a+CN=CAR2", None)],
)
def test_a_plus_in_a_name_is_told_without_the_backslash_of_the_subject(nginx, authority, tmp_path, vehicle_id, told):
    headers = said(nginx, make_client_certificate(authority, tmp_path, vehicle_id))

    assert headers["X_CLIENT_SUBJECT"] == f"CN={vehicle_id},O=north".replace("+", r"\+")
    assert headers.get("X_CONTROLLER_ID") == headers.get("X_SSL_CLIENT_CN") == told


def test_addresses_of_callers_are_added_to_what_they_say_themselves(nginx):
    assert said(nginx, headers={"X-Forwarded-For": "192.0.2.9"})["X_FORWARDED_FOR"] == "192.0.2.9, 127.0.0.1"


def test_the_server_is_called_from_an_address_of_nginx_alone(nginx):
    with nginx.client() as client:
        assert client.get("/").json()["address"] == "127.0.0.2"


def chunks():
    yield b'{"a":'
    yield b" 1}"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_chunked_body_reaches_the_server_whole_and_with_its_length(nginx, method):
    with nginx.client() as client:
        answer = client.request(method, "/enrol", content=chunks()).json()

    assert (answer["body"], answer["length"]) == ('{"a": 1}', "8")


def test_a_body_on_request_is_asked_for(nginx):
    """Expect: 100-continue, as curl and swupdate send it."""
    with nginx.connection() as connection:
        head = ["PUT /x HTTP/1.1", "Host: localhost", "Expect: 100-continue", "Content-Length: 2", "Connection: close"]
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        first = connection.recv(100)
        connection.sendall(b"ok")
        rest = b"".join(iter(lambda: connection.recv(65536), b""))

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b'"body": "ok"' in rest


def test_a_body_beyond_the_limit_is_a_problem(nginx):
    with nginx.client() as client:
        answer = client.post("/enrol", content=b"x" * (24 * 1024**2 + 1))

    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("request_line", "length"),
    [("PATCH /api/v1/packages/1/content", 6 * 10**9), ("POST /api/v1/imports?kind=csv", 2**31)],
)
def test_large_files_on_their_way_in_go_through_as_they_come(nginx, request_line, length):
    with nginx.connection() as connection:
        head = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode() + b"first")

        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"body": "first"' in answer


def test_slow_bodies_keep_no_thread_from_others(nginx):
    with ExitStack() as stack, nginx.client() as client:
        for _ in range(50):
            slow = stack.enter_context(nginx.connection())
            slow.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n[")

        answers, seconds = took(lambda: [client.post("/events", content=b"[]").status_code for _ in range(20)])

    assert answers == [200] * 20
    assert seconds < 3


def test_where_the_server_is_not_there_nginx_says_so_as_the_server_would(tmp_path, authority):
    unanswered = None
    try:
        unanswered = Front(tmp_path, port=free_port(), web_ports=[1], authorities=[authority])
        with unanswered.client() as client:
            answers = [client.post("/uptane/north/events", content=b"[]") for _ in range(30)]
    finally:
        if unanswered is not None:
            unanswered.end()

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "server.unreachable")}
    # Not all in the same second.
    told = {answer.headers["retry-after"] for answer in answers}
    assert len(told) > 1
    assert told <= {"4", "5", "6", "7"}


def test_tls_1_1_is_refused(nginx):
    context = trusting(nginx.ca_file)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    with (
        socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def headers_read():
    """Every header that the code of the server asks requests for."""
    found = set()
    for path in (ROOT / "otaserver").rglob("*.py"):
        # The poll front names what it does not compare; what an answer depends on is read by views.
        if not {"embedded", "front"} & set(path.parts):
            text = path.read_text()
            found |= set(re.findall(r"request\.headers(?:\.get\(|\[)\"([A-Za-z-]+)\"", text))
            found |= set(re.findall(r"\"([A-Za-z-]+)\" (?:not )?in request\.headers", text))
            found |= set(re.findall(r"_HEADER = \"(X-[A-Za-z0-9-]+)\"", text))
            found |= set(re.findall(r"^HEADER = \"([A-Za-z0-9-]+)\"", text, re.M))
            found |= {name.replace("_", "-") for name in re.findall(r"\"HTTP_([A-Z_]+)\"", text)}
    return {name.lower() for name in found}


def test_every_header_that_the_server_reads_is_passed_on_or_set():
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    named = {name.lower() for name in re.findall(r"proxy_set_header ([A-Za-z0-9-]+) ", text)}

    assert len(headers_read()) > 8
    # How a body comes is told anew on each connection, by nginx itself (RFC 9112, 6.1).
    assert headers_read() - named == {"transfer-encoding"}
