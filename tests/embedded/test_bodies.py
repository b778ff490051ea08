"""Request bodies without Content-Length, over a real socket to a real granian: Django alone reads them as empty."""

import json
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.processes import ROOT, environment, free_port, get, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("bodies")]


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    port = free_port()
    command = ["--interface", "wsgi", "--port", str(port), "--blocking-threads", "4", "tests.embedded.echo:application"]
    process = subprocess.Popen(
        [sys.executable, "-m", "granian", *command], cwd=ROOT, env=environment(tmp_path_factory.mktemp("echo"))
    )
    wait_for(lambda: get(f"http://127.0.0.1:{port}/").status_code == 200)
    yield port
    process.terminate()
    process.wait()


def chunks(*parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def head(method, path, *headers):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def exchange(port, *sent):
    """Send bytes and return status and body of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"".join(sent))
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        headers, _, body = received.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in headers.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += connection.recv(65536)
    return int(headers.split()[1]), json.loads(body)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_chunked_body_arrives_whole_with_its_length(port, method):
    sent = [head(method, "/", "Transfer-Encoding: chunked"), chunks(b'{"a":', b" 1", b"}"), b"0\r\n\r\n"]

    assert exchange(port, *sent) == (200, {"body": '{"a": 1}', "length": "8"})


def test_an_empty_chunked_body_is_empty(port):
    sent = [head("POST", "/", "Transfer-Encoding: chunked"), b"0\r\n\r\n"]

    assert exchange(port, *sent) == (200, {"body": "", "length": "0"})


def test_a_body_with_its_length_is_left_alone(port):
    assert exchange(port, head("POST", "/", "Content-Length: 3"), b"abc") == (200, {"body": "abc", "length": "3"})


@pytest.mark.parametrize(("length", "status"), [(1000, 200), (1001, 413)])
def test_a_chunked_body_may_reach_the_limit_and_not_exceed_it(port, length, status):
    sent = [head("POST", "/", "Transfer-Encoding: chunked"), chunks(b"x" * 400, b"x" * (length - 400)), b"0\r\n\r\n"]

    found, body = exchange(port, *sent)

    assert found == status
    if status == 413:
        assert body["code"] == "request.too_large"


def test_a_package_is_read_while_it_comes_however_large_it_will_be(port):
    begun = [head("PATCH", "/api/v1/packages/7/content", "Transfer-Encoding: chunked"), chunks(b"first", b"x" * 5000)]

    assert exchange(port, *begun) == (200, {"first": "first", "length": None})


def slow_senders(stack, port, count):
    for _ in range(count):
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        connection.sendall(head("POST", "/", "Content-Length: 100") + b"x")


def test_polls_are_answered_while_many_bodies_do_not_arrive(port):
    with ExitStack() as stack:
        slow_senders(stack, port, 60)

        answers = [exchange(port, head("GET", "/")) for _ in range(20)]

    assert answers == [(200, {})] * 20


def test_bodies_wait_for_slow_ones_outside_and_come_in_when_those_are_gone(port):
    short = [head("POST", "/", "Content-Length: 3"), b"abc"]
    with ExitStack() as stack:
        slow_senders(stack, port, 2)
        _, problem = wait_for(lambda: (found := exchange(port, *short))[0] == 503 and found)

    assert problem["code"] == "server.busy"
    wait_for(lambda: exchange(port, *short)[0] == 200)


def test_files_on_their_way_in_leave_room_for_other_bodies(port):
    with ExitStack() as stack:
        for _ in range(3):
            file = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            file.sendall(head("PATCH", "/api/v1/packages/7/content", "Content-Length: 100") + b"x")
        busy = head("PATCH", "/api/v1/packages/8/content", "Content-Length: 5")
        _, problem = wait_for(lambda: (found := exchange(port, busy, b"first"))[0] == 503 and found)

        stopped = [exchange(port, head("POST", "/", "Content-Length: 3"), b"abc")[0] for _ in range(5)]

    assert (problem["code"], stopped) == ("server.busy", [200] * 5)


def test_a_body_announced_too_large_is_refused_before_it_comes(port):
    status, problem = exchange(port, head("POST", "/", "Content-Length: 1001"))

    assert (status, problem["code"]) == (413, "request.too_large")


def test_what_is_refused_before_django_has_the_requests_id_as_well(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head("POST", "/", "Content-Length: 1001", "X-Request-Id: from-the-proxy"))
        answer = connection.recv(65536).lower()

    assert b"\r\nx-request-id: from-the-proxy\r\n" in answer
