import hashlib

import httpx
import pytest

from tests.clients.vehicle.repositories import pieces, ranged

DATA = bytes(range(256)) * 400


@pytest.fixture
def path(vehicle, oem):
    """Release 2.0 of the gateway alone is ordered; where its image is downloaded from."""
    name = oem.publish_image("fw-gateway", "2.0", "gateway", counter=2, content=DATA)
    oem.order({"P1": name})
    return f"/downloads/{hashlib.sha256(DATA).hexdigest()}"


def breaking_after(length, etag='"e1"', data=DATA):
    """A server that ends the connection after `length` bytes."""

    def body(request):
        yield from pieces(data[:length], 10_000)
        raise httpx.ReadError("cut", request=request)

    return lambda request: httpx.Response(200, headers={"ETag": etag}, content=body(request))


def serving(data, etag='"e1"'):
    return lambda request: ranged(request, data, etag.strip('"'))


def part_of(vehicle):
    return next(vehicle.config.state_dir.glob("downloads/*.part"))


def test_a_cut_download_goes_on_after_a_restart(vehicle, oem, path):
    oem.overrides[path] = breaking_after(30_000)
    assert vehicle.run().status == "not_now"
    assert part_of(vehicle).read_bytes() == DATA[:30_000]
    vehicle.restart()
    oem.requests.clear()
    oem.overrides[path] = serving(DATA)

    assert vehicle.run().status == "installed"

    (request,) = [request for request in oem.requests if request.url.path == path]
    assert (request.headers["Range"], request.headers["If-Range"]) == ("bytes=30000-", '"e1"')


def test_a_download_starts_again_when_the_file_is_another_one(vehicle, oem, path):
    oem.overrides[path] = breaking_after(30_000, data=b"x" * len(DATA))
    vehicle.run()
    oem.overrides[path] = serving(DATA, etag='"e2"')

    assert vehicle.run().status == "installed"


def test_a_first_part_of_other_bytes_is_found_out_and_all_is_fetched_again(vehicle, oem, path):
    oem.overrides[path] = breaking_after(30_000, data=b"x" * len(DATA))
    vehicle.run()
    oem.requests.clear()
    oem.overrides[path] = serving(DATA)

    assert vehicle.run().status == "installed"
    assert len([request for request in oem.requests if request.url.path == path]) == 2


def test_a_weak_etag_is_not_resumed_on(vehicle, oem, path):
    oem.overrides[path] = breaking_after(30_000, etag='W/"e1"')
    vehicle.run()
    oem.requests.clear()
    del oem.overrides[path]

    assert vehicle.run().status == "installed"
    assert all("Range" not in request.headers for request in oem.requests)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(416, headers={"Content-Range": f"bytes */{len(DATA)}"}),
        httpx.Response(206, headers={"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"}, content=DATA),
        httpx.Response(206, content=DATA),
    ],
)
def test_another_range_than_asked_for_starts_again(vehicle, oem, path, answer):
    oem.overrides[path] = breaking_after(30_000)
    vehicle.run()
    oem.overrides[path] = lambda _request: answer

    assert vehicle.run().detail.startswith("download.range:")
    assert not list(vehicle.config.state_dir.glob("downloads/*"))
    del oem.overrides[path]
    assert vehicle.run().status == "installed"


def test_an_encoded_body_is_not_read(vehicle, oem, path):
    headers = {"Content-Encoding": "br"}
    oem.overrides[path] = lambda _request: httpx.Response(200, headers=headers, stream=httpx.ByteStream(DATA))

    assert vehicle.run().detail.startswith("answer.invalid:")


def test_the_token_does_not_leave_for_a_signed_url(vehicle, oem, path):
    vehicle.run()

    (request,) = [request for request in oem.requests if request.url.path == path]
    assert "Authorization" not in request.headers


def test_redirects_end(vehicle, oem, path):
    oem.overrides[path] = lambda request: httpx.Response(302, headers={"Location": str(request.url)})

    assert vehicle.run().detail.startswith("answer.invalid:")


def test_an_empty_image_is_an_image(vehicle, oem):
    name = oem.publish_image("fw-gateway", "2.1", "gateway", counter=2, content=b"")
    empty = {"sha256": hashlib.sha256(b"").hexdigest(), "sha512": hashlib.sha512(b"").hexdigest()}
    oem.image.delegated["supplier"]["targets"][name] |= {"length": 0, "hashes": empty}
    oem.image.publish()
    oem.order({"P1": name})

    assert vehicle.run().status == "installed"


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry-After": "30"}), (503, {"Retry-After": "30"}), (507, {}), (500, {}), (502, {})]
)
def test_what_the_server_sheds_is_tried_again_later_and_ends_no_attempt(vehicle, oem, path, status, headers):
    oem.overrides[path] = lambda request: httpx.Response(status, headers=headers, json={"code": "server.busy"})
    for _ in range(5):
        assert vehicle.run().status == "not_now"
    assert [event for event in oem.events if event["phase"] == "finished"] == []
    oem.overrides[path] = serving(DATA)

    assert vehicle.run().status == "installed"

    assert [event["outcome"] for event in oem.events if event["phase"] == "finished"] == ["success"]
