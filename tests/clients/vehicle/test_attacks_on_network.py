"""Attacks of wire/uptane.md 6.1 that need a real socket: A2 (resets), A3, A10 (without Content-Length)."""

import threading
from dataclasses import replace

import pytest

from clients.vehicle.config import Limits
from tests.clients.vehicle.refusals import assert_completed, assert_updatable
from tests.clients.vehicle.sockets import cut_after, endless_chunks, reset, serving, trickle
from tests.clients.vehicle.vehicles import Vehicle, install_old_release

TIMESTAMP = "/director/metadata/timestamp.json"


@pytest.fixture
def raw():
    """The attacker: what happens to the socket of a path."""
    return {}


@pytest.fixture
def vehicle(oem, raw, tmp_path):
    limits = replace(Limits(), timeout_seconds=2.0, slow_window_seconds=0.3, slow_window_bytes=1000)
    with serving(oem, raw) as url:
        vehicle = Vehicle(oem, tmp_path, url=url, limits=limits)
        install_old_release(oem, vehicle.config)
        assert vehicle.run().status == "idle"
        yield vehicle
        vehicle.restart()


@pytest.fixture
def attempt(oem, vehicle):
    return oem.order(oem.publish_release("2.0", counter=2))


def download_of_first(oem):
    return "/downloads/" + next(iter(oem.director.targets.values()))["hashes"]["sha256"]


@pytest.mark.parametrize("repository", ["director", "repo"])
def test_a02_a_reset_connection_changes_nothing(vehicle, oem, raw, attempt, repository):
    raw[f"/{repository}/metadata/timestamp.json"] = reset
    before = (vehicle.trust(), vehicle.runs())

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "network")
    assert (vehicle.trust(), vehicle.runs()) == before
    raw.clear()
    assert_updatable(vehicle, oem)


def test_a02_a_download_that_is_cut_goes_on_where_it_stopped(vehicle, oem, raw, attempt):
    path = download_of_first(oem)
    data = oem.images[path.removeprefix("/downloads/")]
    raw[path] = cut_after(data[:20_000], len(data))
    assert vehicle.run().status == "not_now"
    raw.clear()
    # The attacker's ETag was not the file's, so the file starts again.
    oem.requests.clear()
    assert vehicle.run().status == "installed"

    assert oem.problems == []


@pytest.mark.parametrize("place", ["timestamp", "image"])
def test_a03_slow_retrieval_is_given_up_and_reported(vehicle, oem, raw, attempt, place):
    path = TIMESTAMP if place == "timestamp" else download_of_first(oem)
    is_over = threading.Event()
    raw[path] = trickle(lambda: not is_over.wait(0.02))
    old = vehicle.runs()

    result = vehicle.run()
    is_over.set()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "slow_retrieval")
    assert vehicle.runs() == old
    assert oem.attacks()[-1].startswith("slow_retrieval:")
    raw.clear()
    assert_completed(vehicle, oem, attempt)
    assert_updatable(vehicle, oem)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Head: ", id="head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;ext=", id="chunk extension"),
    ],
)
def test_a03_slow_retrieval_of_what_only_frames_a_body_is_given_up(vehicle, oem, raw, attempt, start):
    is_over = threading.Event()
    raw[TIMESTAMP] = trickle(lambda: not is_over.wait(0.02), after=start)
    before = (vehicle.trust(), vehicle.runs())

    result = vehicle.run()
    is_over.set()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "slow_retrieval")
    assert (vehicle.trust(), vehicle.runs()) == before
    raw.clear()
    assert_completed(vehicle, oem, attempt)


def test_a03_a_server_that_says_nothing_is_given_up(vehicle, oem, raw, attempt):
    is_over = threading.Event()
    raw[TIMESTAMP] = lambda _connection: is_over.wait(10)
    before = vehicle.trust()

    result = vehicle.run()
    is_over.set()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "network")
    assert vehicle.trust() == before


@pytest.mark.parametrize("repository", ["director", "repo"])
def test_a10_chunks_without_end_are_cut_off(vehicle, oem, raw, attempt, repository):
    sent: list[int] = []
    raw[f"/{repository}/metadata/timestamp.json"] = endless_chunks(sent)
    before = (vehicle.trust(), vehicle.runs())

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "oversized")
    assert (vehicle.trust(), vehicle.runs()) == before
    assert oem.attacks()[-1].startswith("oversized:")
    raw.clear()
    assert_completed(vehicle, oem, attempt)
    assert_updatable(vehicle, oem)


def test_a10_an_image_in_chunks_without_end_is_cut_off(vehicle, oem, raw, attempt):
    sent: list[int] = []
    raw[download_of_first(oem)] = endless_chunks(sent)
    old = vehicle.runs()

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "oversized")
    assert vehicle.runs() == old
    raw.clear()
    assert_completed(vehicle, oem, attempt)
    assert_updatable(vehicle, oem)
