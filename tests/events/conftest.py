"""A tenant with an endpoint that listens on this machine."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import pytest

from otaserver.events import operations
from otaserver.events.models import Endpoint
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_tenant


@dataclass
class Listener:
    """A receiver of webhooks; it answers what it is told to, in order, and at last always the same."""

    port: int = 0
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    # Set: a request is kept waiting until then.
    gate: threading.Event | None = None
    # So many go through before.
    held_after: int = 0
    arrived: threading.Event = field(default_factory=threading.Event)
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.seen]


@pytest.fixture(scope="module")
def _server() -> Iterator[tuple[ThreadingHTTPServer, list[Listener]]]:
    current: list[Listener] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            listener = current[-1]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
            listener.arrived.set()
            if listener.gate is not None and len(listener.seen) > listener.held_after:
                listener.gate.wait(5)
            many = len(listener.answers) > 1
            status, answer = listener.answers.pop(0) if many else (listener.answers or [(200, b"ok")])[0]
            self.send_response(status)
            for name, value in listener.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server, current
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def listener(_server: tuple[ThreadingHTTPServer, list[Listener]], settings: Any) -> Listener:
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    server, current = _server
    made = Listener(port=server.server_address[1])
    current.append(made)
    return made


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant("acme")


@pytest.fixture
def endpoint(tenant: Tenant, listener: Listener) -> Endpoint:
    return make_endpoint(tenant, listener.url)[0]


def make_endpoint(tenant: Tenant, url: str, types: tuple[str, ...] = ()) -> tuple[Endpoint, str]:
    """An endpoint and its secret; what its own making is in the audit record makes no event."""
    return operations.create_endpoint(tenant, url=url, types=types, description="", by="alice", at=NOON)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
