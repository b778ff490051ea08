"""The server of downloads: it answers as Django's fallback does, and slow readers delay nobody."""

import hashlib
import secrets
import socket
import subprocess
import sys
import time

import httpx
import pytest
from django.conf import settings
from django.test import Client

from firmware_store import blobs, signed_urls
from otaserver.embedded.downloads import make_app
from otaserver.embedded.errors import CannotServeError
from tests.processes import ROOT, environment, free_port, get, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("downloads")]

SECRET = "a secret of the tests"
CONTENT = secrets.token_bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
COMPARED = ["content-type", "content-range", "accept-ranges", "etag", "cache-control", "allow"]
PROBLEM = ["type", "title", "status", "code", "detail"]


def query(sha256=SHA256, *, expires=None, secret=SECRET):
    return signed_urls.sign(sha256, expires=expires or int(time.time()) + 60, secret=secret)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blobs")
    path = folder / blobs.blob_path(SHA256)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return folder


@pytest.fixture(scope="module")
def address(folder):
    port = free_port()
    command = ["--interface", "rsgi", "--factory", "--port", str(port), "otaserver.embedded.downloads:make_app"]
    process = subprocess.Popen(
        [sys.executable, "-m", "granian", *command],
        cwd=ROOT,
        env=environment(folder / "var", OTA_BLOBS=folder, OTA_URL_SECRET=SECRET),
    )
    wait_for(lambda: get(f"http://127.0.0.1:{port}/healthz").status_code == 200)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture
def fallback(db, folder, settings):
    """Django's own view of the same files."""
    settings.URL_SECRET = SECRET
    storage = settings.STORAGES["default"] | {"OPTIONS": {"location": str(folder)}}
    settings.STORAGES = settings.STORAGES | {"default": storage}
    return Client()


CASES = {
    "whole": ("GET", {}, 200),
    "head": ("HEAD", {}, 200),
    "begin": ("GET", {"Range": "bytes=0-9"}, 206),
    "middle": ("GET", {"Range": "bytes=1000-250000"}, 206),
    "rest": ("GET", {"Range": "bytes=299990-"}, 206),
    "last": ("GET", {"Range": "bytes=-7"}, 206),
    "one": ("GET", {"Range": "bytes=299999-299999"}, 206),
    "too far": ("GET", {"Range": "bytes=299990-400000"}, 206),
    "head of a range": ("HEAD", {"Range": "bytes=5-9"}, 206),
    "behind the end": ("GET", {"Range": "bytes=300000-"}, 416),
    "last nothing": ("GET", {"Range": "bytes=-0"}, 416),
    "backwards": ("GET", {"Range": "bytes=9-5"}, 200),
    "other unit": ("GET", {"Range": "lines=1-2"}, 200),
    "several": ("GET", {"Range": "bytes=0-1,5-6"}, 200),
    "if this one": ("GET", {"Range": "bytes=0-9", "If-Range": f'"{SHA256}"'}, 206),
    "if another": ("GET", {"Range": "bytes=0-9", "If-Range": '"another"'}, 200),
    "posted": ("POST", {}, 405),
}


@pytest.mark.parametrize(("method", "headers", "status"), CASES.values(), ids=CASES)
def test_both_servers_of_downloads_give_the_same_answer(address, fallback, method, headers, status):
    path = f"/downloads/{SHA256}?{query()}"

    fast = httpx.request(method, address + path, headers=headers)
    slow = fallback.generic(method, path, headers=headers)

    assert (fast.status_code, slow.status_code) == (status, status)
    assert {name: fast.headers.get(name) for name in COMPARED} == {name: slow.get(name) for name in COMPARED}
    if status in (200, 206):
        assert fast.content == b"".join(slow)
        assert fast.headers["content-length"] == slow["content-length"]
    else:
        assert fast.json() == {name: value for name, value in slow.json().items() if name in PROBLEM}


UNSIGNED = {
    "no signature": lambda: "",
    "half of it": lambda: query().partition("&")[0],
    "another file's": lambda: query("ab" * 32),
    "another secret's": lambda: query(secret="guessed"),
    "expired": lambda: query(expires=int(time.time()) - 1),
    "later expiry": lambda: query().replace("expires=1", "expires=2"),
}


@pytest.mark.parametrize("signed", UNSIGNED.values(), ids=UNSIGNED)
def test_an_address_that_is_not_signed_for_this_file_and_moment_gives_nothing(address, fallback, signed):
    path = f"/downloads/{SHA256}?{signed()}"

    fast, slow = get(address + path), fallback.get(path)

    assert (fast.status_code, slow.status_code) == (403, 403)
    assert fast.json() == slow.json()
    assert fast.json()["code"] == "download.forbidden"


def test_bytes_that_are_not_here_are_not_found(address, fallback):
    path = f"/downloads/{'ab' * 32}?{query('ab' * 32)}"

    fast, slow = get(address + path), fallback.get(path)

    assert (fast.status_code, fast.json()) == (404, slow.json())


@pytest.mark.parametrize("path", ["/", "/downloads/", "/downloads/../secrets.json", f"/downloads/{'AB' * 32}"])
def test_there_is_nothing_but_downloads(address, path):
    answer = get(address + path)

    assert (answer.status_code, answer.json()["code"]) == (404, "resource.not_found")


def test_two_hundred_slow_readers_delay_no_other_reader(address):
    request = f"GET /downloads/{SHA256}?{query()} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    host, _, port = address.removeprefix("http://").partition(":")
    readers = []
    try:
        for _ in range(200):
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect((host, int(port)))
            reader.sendall(request)
            readers.append(reader)
        assert all(reader.recv(100).startswith(b"HTTP/1.1 200") for reader in readers)

        started = time.monotonic()
        content = get(f"{address}/downloads/{SHA256}?{query()}").content
        seconds = time.monotonic() - started
    finally:
        for reader in readers:
            reader.close()

    assert content == CONTENT
    assert seconds < 2


def test_the_server_of_downloads_loads_no_django():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, otaserver.embedded.downloads; print('django' in sys.modules)"],
        cwd=ROOT,
        env=environment(settings.VAR_DIR),
        capture_output=True,
        text=True,
        check=True,
    )

    assert loaded.stdout == "False\n"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"OTA_URL_SECRET": SECRET}, "without OTA_BLOBS."),
        # As `deploy/ota.env.example` has it: with an empty secret anybody could sign.
        ({"OTA_BLOBS": "/srv/ota/packages", "OTA_URL_SECRET": ""}, "without OTA_URL_SECRET."),
        ({}, "without OTA_BLOBS and OTA_URL_SECRET."),
    ],
)
def test_nothing_is_served_without_a_folder_and_a_secret(monkeypatch, given, sentence):
    for name in ("OTA_BLOBS", "OTA_URL_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(CannotServeError, match=sentence):
        make_app()
