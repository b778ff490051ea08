"""The publisher sends files straight to the bucket where the server offers it, and through the server otherwise."""

import json
import threading

import httpx
import pytest

from clients.publisher import direct
from clients.publisher.direct import DirectUploads
from clients.publisher.errors import ServerRefusalError, UnreachableError
from clients.publisher.publisher import Publisher
from firmware_store import blobs, operations, parts
from firmware_store.direct_models import DirectUpload
from firmware_store.models import Package
from firmware_store.states import PackageState
from tests.clients.publisher.conftest import FIRMWARE, spec
from tests.factories import NOON

pytestmark = [pytest.mark.any_database, pytest.mark.xdist_group("bucket")]

PART = 4096


class BucketWire(httpx.BaseTransport):
    """The way to the bucket; `before` may cut it, or change what is sent."""

    def __init__(self):
        self.before = lambda request, number: request
        self.seen = []
        self._lock = threading.Lock()
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request):
        with self._lock:
            number = int(request.url.params["partNumber"])
            self.seen.append(number)
            assert "authorization" not in request.headers
            request = self.before(request, number)
        return self._inner.handle_request(request)


@pytest.fixture(autouse=True)
def _bucket(bucket, monkeypatch):
    monkeypatch.setattr(parts, "PART_BYTES", PART)


@pytest.fixture
def way():
    return BucketWire()


@pytest.fixture
def publish(ready, firmware, way):
    """Publish as the command does; whenever it waits, a worker verifies what is due."""

    def verify(seconds):
        for pk in operations.due_direct_uploads(at=NOON):
            operations.verify_direct_upload(pk, now=lambda: NOON)

    def run(progress=None, sleep=verify):
        publisher = Publisher(
            ready.publisher().api._client,
            ready.keys,
            clock=lambda: ready.now,
            sleep=sleep,
            bucket=lambda: httpx.Client(transport=way),
        )
        return publisher.packages.publish(firmware, spec(), progress=progress)

    return run


def patches(ready):
    return [line for line in ready.wire.seen if line.startswith("PATCH")]


def test_a_file_goes_straight_to_the_bucket_and_is_published(ready, publish, way):
    told = []

    published = publish(lambda here, total: told.append((here, total)))

    assert (Package.objects.get().state, published.is_new) == (PackageState.PUBLISHED, True)
    assert (sorted(way.seen), patches(ready)) == ([1, 2, 3], [])
    assert told[0] == (0, len(FIRMWARE)) and told[-1] == (len(FIRMWARE), len(FIRMWARE))
    assert [here for here, _ in told] == sorted(here for here, _ in told)
    with blobs.open_blob(published.sha256) as stored:
        assert stored.read() == FIRMWARE


def test_a_cut_connection_costs_its_part_and_no_other(publish, way):
    def cut(request, number):
        if number == 2 and way.seen.count(2) == 1:
            raise httpx.WriteError("gone")
        return request

    way.before = cut

    assert publish().is_new
    assert sorted(way.seen) == [1, 2, 2, 3]


def test_a_command_that_failed_goes_on_with_the_next_one(publish, way):
    def refuse(request, number):
        if number == 3:
            raise httpx.ConnectError("no route")
        return request

    way.before = refuse
    with pytest.raises(UnreachableError) as error:
        publish()
    way.before, way.seen = (lambda request, number: request), []

    assert publish().is_new
    assert (error.value.code, way.seen) == ("upload.bucket", [3])


def test_where_the_bucket_cannot_be_reached_the_bytes_go_through_the_server(ready, publish, way):
    def away(request, number):
        raise httpx.ConnectError("no route")

    way.before = away

    assert publish().is_new
    assert len(patches(ready)) == 1
    assert DirectUpload.objects.count() == 0


def test_where_the_server_offers_nothing_the_bytes_go_through_it(ready, publish, way, settings):
    settings.DIRECT_UPLOADS = False

    assert publish().is_new
    assert (way.seen, len(patches(ready))) == ([], 1)


def test_other_bytes_than_declared_are_told_with_the_servers_sentence(publish, way, firmware):
    def changed(request, number):
        if number == 1:
            firmware.write_bytes(bytes(len(FIRMWARE)))
        return request

    way.before = changed

    with pytest.raises(ServerRefusalError) as refusal:
        publish()

    assert refusal.value.code == "package.content_differs"
    assert Package.objects.get().state == PackageState.REFUSED


def test_an_upload_that_somebody_gives_up_is_told_and_begins_again(publish, ready):
    def give_up(seconds):
        operations.abort_direct_upload(DirectUpload.objects.get())

    with pytest.raises(UnreachableError) as error:
        publish(sleep=give_up)

    assert error.value.code == "upload.gone"
    assert publish().is_new


def test_a_server_that_never_verifies_is_not_waited_for_for_ever(publish, monkeypatch):
    monkeypatch.setattr(direct, "MAX_POLLS", 3)

    with pytest.raises(UnreachableError) as error:
        publish(sleep=lambda seconds: None)

    assert error.value.code == "upload.verifying"
    assert DirectUpload.objects.get().state == "verifying"


def test_a_package_that_is_verified_already_is_only_waited_for(publish, ready, firmware, way, monkeypatch):
    monkeypatch.setattr(direct, "MAX_POLLS", 1)
    with pytest.raises(UnreachableError):
        publish(sleep=lambda seconds: None)
    monkeypatch.undo()
    sent = list(way.seen)

    assert publish().is_new
    assert way.seen == sent


def test_an_older_server_is_not_asked_for_a_bucket():
    assert DirectUploads(None).send({"id": 1}, None, None) is False


def test_the_command_line_sends_straight_to_the_bucket_by_itself(ready, command, firmware):
    def verify(request):
        if request.method == "GET" and DirectUpload.objects.filter(state="verifying").exists():
            for pk in operations.due_direct_uploads(at=NOON):
                operations.verify_direct_upload(pk, now=lambda: NOON)

    ready.wire.before = verify

    code, out, err = command(
        "publish", str(firmware), "--role", "supplier", "--name", "engine", "--version", "1.0",
        "--hardware-id", "gateway", "--json",
    )  # fmt: skip

    assert (code, json.loads(out)["length"]) == (0, len(FIRMWARE)), err
    assert patches(ready) == []
