import hashlib
from datetime import timedelta

import pytest
from django.core.files.storage import Storage

from firmware_store import signed_urls
from tests.factories import NOON
from tests.vehicle_api.conftest import check_problem, store_blob

pytestmark = pytest.mark.any_database

CONTENT = bytes(range(256)) * 2500  # more than two blocks
LENGTH = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class BucketStorage(Storage):
    """A storage that serves its files itself, like a bucket."""

    def url(self, name):
        return f"https://bucket.example/{name}?signed"


@pytest.fixture
def address(db, server_clock, settings):
    store_blob(CONTENT)
    expires = int(NOON.timestamp()) + 60
    return f"/downloads/{SHA256}?{signed_urls.sign(SHA256, expires=expires, secret=settings.URL_SECRET)}"


def body(response):
    return b"".join(response.streaming_content)


def test_the_whole_file_is_streamed_in_blocks(client, address):
    response = client.get(address)

    blocks = list(response.streaming_content)
    assert (response.status_code, b"".join(blocks)) == (200, CONTENT)
    assert [len(block) for block in blocks] == [262144, 262144, LENGTH - 2 * 262144]
    assert response["Content-Length"] == str(LENGTH)
    assert response["ETag"] == f'"{SHA256}"'
    assert response["Accept-Ranges"] == "bytes"
    assert response["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=300000-", 300000, LENGTH - 1),
        ("bytes=10-99999999", 10, LENGTH - 1),
        ("bytes=-7", LENGTH - 7, LENGTH - 1),
        (f"bytes={LENGTH - 1}-", LENGTH - 1, LENGTH - 1),
    ],
)
def test_a_range_is_206(client, address, header, first, last):
    response = client.get(address, headers={"Range": header})

    assert (response.status_code, body(response)) == (206, CONTENT[first : last + 1])
    assert response["Content-Range"] == f"bytes {first}-{last}/{LENGTH}"
    assert response["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "lines=1-2", "bytes=5-2", "rubbish"])
def test_a_range_that_is_not_understood_gets_the_whole_file(client, address, header):
    response = client.get(address, headers={"Range": header})

    assert (response.status_code, body(response)) == (200, CONTENT)


@pytest.mark.parametrize("header", [f"bytes={LENGTH}-", "bytes=-0"])
def test_a_range_behind_the_end_is_416(client, address, header):
    response = client.get(address, headers={"Range": header})

    check_problem(response, 416, "download.range")
    assert response["Content-Range"] == f"bytes */{LENGTH}"


def test_if_range_with_this_files_tag_keeps_the_range(client, address):
    response = client.get(address, headers={"Range": "bytes=5-", "If-Range": f'"{SHA256}"'})

    assert (response.status_code, body(response)) == (206, CONTENT[5:])


def test_if_range_with_another_tag_gets_the_whole_file(client, address):
    response = client.get(address, headers={"Range": "bytes=5-", "If-Range": '"other"'})

    assert (response.status_code, body(response)) == (200, CONTENT)


@pytest.mark.parametrize(("headers", "status", "length"), [({}, 200, LENGTH), ({"Range": "bytes=0-9"}, 206, 10)])
def test_head_tells_the_length_without_the_bytes(client, address, headers, status, length):
    response = client.head(address, headers=headers)

    assert (response.status_code, response["Content-Length"], response.content) == (status, str(length), b"")


@pytest.mark.parametrize(
    "query",
    ["", "?expires=1", "?expires=99999999999&signature=00", "?expires=x&signature=y", "?signature=%FF"],
)
def test_an_address_that_is_not_signed_is_403(client, address, query):
    check_problem(client.get(f"/downloads/{SHA256}{query}"), 403, "download.forbidden")


def test_a_signature_is_for_one_file_only(client, address):
    check_problem(client.get(address.replace(SHA256, "0" * 64)), 403, "download.forbidden")


def test_an_address_expires(client, address, server_clock):
    server_clock.now = NOON + timedelta(seconds=60)

    check_problem(client.get(address), 403, "download.forbidden")


def test_bytes_that_are_not_here_are_404(client, db, server_clock, settings):
    query = signed_urls.sign("0" * 64, expires=int(NOON.timestamp()) + 60, secret=settings.URL_SECRET)

    check_problem(client.get(f"/downloads/{'0' * 64}?{query}"), 404, "download.not_found")


def test_a_storage_that_serves_itself_is_redirected_to(client, address, settings):
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": f"{__name__}.BucketStorage"}}

    response = client.get(address)

    path = f"{SHA256[:2]}/{SHA256[2:4]}/{SHA256}"
    assert (response.status_code, response["Location"]) == (302, f"https://bucket.example/{path}?signed")
    assert response["Cache-Control"] == "no-store"


def test_a_download_asks_the_database_nothing(client, address, django_assert_num_queries):
    with django_assert_num_queries(0):
        body(client.get(address))


@pytest.fixture
def behind_nginx(settings):
    settings.ACCEL_PREFIX, settings.TRUSTED_PROXIES = "/_packages/", ["127.0.0.2"]
    return {"REMOTE_ADDR": "127.0.0.2"}


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=5-9"}, {"Range": "bytes=5-", "If-Range": f'"{SHA256}"'}])
def test_nginx_is_told_which_file_to_send_under_which_tag(client, address, behind_nginx, headers):
    response = client.get(address, headers=headers, **behind_nginx)

    assert response["X-Accel-Redirect"] == f"/_packages/{SHA256[:2]}/{SHA256[2:4]}/{SHA256}"
    assert (response.content, response["ETag"]) == (b"", f'"{SHA256}"')


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": '"x"'},
        {"If-None-Match": '"x"'},
        {"If-Modified-Since": "Mon, 01 Jun 2026 12:00:00 GMT"},
        {"If-Unmodified-Since": "Mon, 01 Jun 2026 12:00:00 GMT"},
        {"Range": "bytes=9-5"},
        {"Range": "bytes=0-1,5-6"},
        {"Range": "bytes=5-", "If-Range": '"other"'},
    ],
)
def test_what_nginx_would_judge_otherwise_is_sent_by_the_server(client, address, behind_nginx, headers):
    response = client.get(address, headers=headers, **behind_nginx)

    assert "X-Accel-Redirect" not in response
    assert (response.status_code, body(response)) == (200, CONTENT)


def test_nobody_but_nginx_is_told_where_files_are(client, address, behind_nginx):
    response = client.get(address, REMOTE_ADDR="127.0.0.1")

    assert "X-Accel-Redirect" not in response
    assert body(response) == CONTENT


def test_nginx_is_not_told_to_send_what_is_not_signed_for_or_not_there(client, address, behind_nginx, settings):
    missing = signed_urls.sign("0" * 64, expires=int(NOON.timestamp()) + 60, secret=settings.URL_SECRET)

    check_problem(client.get(f"/downloads/{SHA256}", **behind_nginx), 403, "download.forbidden")
    check_problem(client.get(f"/downloads/{'0' * 64}?{missing}", **behind_nginx), 404, "download.not_found")
    check_problem(client.get(address, headers={"Range": f"bytes={LENGTH}-"}, **behind_nginx), 416, "download.range")
