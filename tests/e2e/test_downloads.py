"""Slow readers block nobody."""

import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from clients.publisher.packages import PackageSpec
from otaserver.demo.fleet_plan import ROLE

pytestmark = [pytest.mark.e2e, pytest.mark.any_database, pytest.mark.xdist_group("heavy")]

SLOW_READERS = 200
# What blocked readers cost where each holds a thread: more than four seconds a poll, for as long as they read.
BLOCKED_SECONDS = 4.0


def slow_reader(stack, url):
    """Ask for a file, read its first bytes, and leave the rest lying in the server's buffers."""
    parts = urlsplit(url)
    connection = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=30))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
    connection.sendall(request.encode())
    return connection


def test_two_hundred_slow_downloads_delay_no_poll(shared_stage, tmp_path):
    image = tmp_path / "large"
    image.write_bytes(bytes(24 * 1024 * 1024))
    package = shared_stage.operator.publisher.packages.publish(image, PackageSpec(ROLE, "maps", "1", ["cluster"]))
    base = f"{shared_stage.server.url}/uptane/default/repo"
    role, _, name = package.target_name.partition("/")
    signed = httpx.head(f"{base}/targets/{role}/{package.sha256}.{name}").headers["Location"]

    with ExitStack() as stack:
        readers = [slow_reader(stack, signed) for _ in range(SLOW_READERS)]
        assert all(reader.recv(64).startswith(b"HTTP/1.1 200") for reader in readers)
        waits = []
        with httpx.Client() as client:
            for _ in range(100):
                began = time.monotonic()
                assert client.get(f"{base}/metadata/timestamp.json").status_code == 200
                waits.append(time.monotonic() - began)
        for reader in readers:
            reader.settimeout(5)
            assert reader.recv(1024)

    assert max(waits) < BLOCKED_SECONDS / 2
