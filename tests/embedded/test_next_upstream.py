"""`deploy/nginx.conf` before two groups, one of which hangs up: what vehicles say reaches the other."""

import socketserver
import threading
from contextlib import contextmanager

import pytest

from otaserver.fleet.credentials import certificates
from tests.embedded.fronts import Front, needs_nginx, now
from tests.processes import free_port

pytestmark = [pytest.mark.e2e, needs_nginx]

SAID_BY_VEHICLES = [
    ("POST", "/uptane/north/events"),
    ("POST", "/uptane/north/director/manifest"),
    ("POST", "/aktualizr/north/events"),
    ("PUT", "/aktualizr/north/director/manifest"),
    ("POST", "/north/controller/v1/dev1/deploymentBase/1/feedback"),
    ("PUT", "/api/devices/v1/deployments/device/deployments/5/status"),
    ("POST", "/api/devices/v2/deployments/device/deployments/next"),
]
CALLERS = 24
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Group(socketserver.ThreadingTCPServer):
    """It takes requests whole, and answers, or hangs up as a process does that ends just then."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", free_port()), Taker)
        self.answer, self.seen = answer, 0


class Taker(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline():
            head = b"".join(iter(self.rfile.readline, b"\r\n")).lower()
            _, _, length = head.partition(b"content-length:")
            self.rfile.read(int(length.split(b"\r\n")[0] or 0))
            self.server.seen += 1
            if not self.server.answer:
                return
            self.wfile.write(self.server.answer)


@contextmanager
def serving(group):
    thread = threading.Thread(target=group.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield group
    finally:
        group.shutdown()
        thread.join()
        group.server_close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    authority = certificates.make_authority("north", at=now())
    with serving(Group(ANSWER)) as well, serving(Group(b"")) as dying:
        ports = [group.server_address[1] for group in (well, dying)]
        folder = tmp_path_factory.mktemp("nginx")
        nginx = Front(folder, port=free_port(), web_ports=ports, authorities=[authority])
        with nginx.client() as client:
            yield client, well, dying
        nginx.end()


def asked(stage, method, path):
    """Ask as so many, that each group is the first one for some; return the answers, and what each has seen."""
    client, well, dying = stage
    well.seen = dying.seen = 0
    content = None if method == "GET" else b"[]"
    tokens = [f"Bearer {number}" for number in range(CALLERS)]
    answers = [client.request(method, path, content=content, headers={"Authorization": token}) for token in tokens]
    return answers, well.seen, dying.seen


@pytest.mark.parametrize(("method", "path"), SAID_BY_VEHICLES)
def test_what_a_vehicle_says_to_a_group_that_hangs_up_is_said_to_the_other(stage, method, path):
    answers, well, dying = asked(stage, method, path)

    assert [answer.status_code for answer in answers] == [200] * CALLERS
    assert well == CALLERS
    assert dying > 0


def test_what_only_reads_is_asked_again_whoever_asks(stage):
    answers, well, dying = asked(stage, "GET", "/api/v1/campaigns")

    assert [answer.status_code for answer in answers] == [200] * CALLERS
    assert (well, dying > 0) == (CALLERS, True)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_an_operator_changes_is_never_done_twice_and_they_are_told_when_to_look(stage, method):
    answers, well, dying = asked(stage, method, "/api/v1/campaigns")

    assert (well + dying, dying > 0) == (CALLERS, True)
    lost = [answer for answer in answers if answer.status_code != 200]
    assert len(lost) == dying
    assert {(each.status_code, each.json()["code"]) for each in lost} == {(503, "server.unreachable")}
    assert {int(each.headers["retry-after"]) for each in lost} <= {4, 5, 6, 7}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    authority = certificates.make_authority("north", at=now())
    with serving(Group(ANSWER)) as one, serving(Group(ANSWER)) as other:
        ports = [group.server_address[1] for group in (one, other)]
        folder = tmp_path_factory.mktemp("two")
        nginx = Front(folder, port=free_port(), web_ports=ports, authorities=[authority])
        yield nginx, (one, other)
        nginx.end()


def places(groups, ask):
    """Return which group each of several times the same is asked of."""
    found = []
    for _ in range(6):
        seen = [group.seen for group in groups]
        ask()
        found.append(next(number for number, group in enumerate(groups) if group.seen > seen[number]))
    return found


def test_a_vehicle_finds_the_group_again_that_keeps_its_answer_and_fleets_are_spread(two):
    nginx, groups = two
    callers = [(f"/north/controller/v1/CAR{number}", {"Authorization": "GatewayToken one"}) for number in range(12)]
    callers += [("/uptane/north/director/metadata/timestamp.json", {"Authorization": f"Bearer {n}"}) for n in range(12)]
    with nginx.client() as client:
        found = [places(groups, lambda call=call: client.get(call[0], headers=call[1])) for call in callers]

    assert all(len(set(each)) == 1 for each in found)
    assert [{each[0] for each in part} for part in (found[:12], found[12:])] == [{0, 1}, {0, 1}]


def test_whoever_shows_nothing_is_answered_by_any_group(two):
    nginx, groups = two
    with nginx.client() as client:
        assert {place for _ in range(4) for place in places(groups, lambda: client.get("/console/login/"))} == {0, 1}
