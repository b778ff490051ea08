"""Packages straight into the bucket, against a real S3 API on loopback."""

import base64
import hashlib
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.core.files.storage import default_storage

from firmware_store import blobs, buckets, operations, parts, tasks
from firmware_store.direct_models import DirectUpload
from firmware_store.errors import DirectUploadGoneError
from firmware_store.models import Package
from firmware_store.operations import direct_uploads
from firmware_store.operations.direct_uploads import AT_A_TIME, COPY_LEASE, LEASE
from firmware_store.operations.uploads import UPLOAD_LIFE
from otaserver.audit.models import Entry
from otaserver.celery import app
from tests.factories import NOON
from tests.firmware_store.ceremony import Ceremony, target_entry
from tests.operator_api.conftest import make_caller
from tests.operator_api.test_packages import declare, send

pytestmark = [pytest.mark.any_database, pytest.mark.xdist_group("bucket")]

PART = 4096
CONTENT = bytes(range(256)) * 40  # two parts and a half
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _bucket(bucket, monkeypatch):
    monkeypatch.setattr(parts, "PART_BYTES", PART)


@pytest.fixture
def package(caller):
    return declare(caller, length=len(CONTENT), sha256=SHA256)


def path(package, ending=""):
    return f"/packages/{package['id']}/direct-upload{ending}"


def begin(caller, package):
    answer = caller.post(path(package))
    assert answer.status_code == 201, answer.content
    return answer.json()


def put(caller, package, numbers=(1, 2, 3), content=CONTENT):
    told = caller.post(path(package, "/addresses"), {"parts": list(numbers)})
    assert told.status_code == 200, told.content
    for one in told.json()["addresses"]:
        start = (one["number"] - 1) * PART
        assert httpx.put(one["url"], content=content[start : start + one["length"]]).status_code == 200


def verify(at=NOON):
    """What beat and a worker would do."""
    return [operations.verify_direct_upload(pk, now=lambda: at) for pk in operations.due_direct_uploads(at=at)]


def in_bucket():
    """The names of everything in the bucket, without the folder that is the storage's own."""
    found = default_storage.connection.meta.client.list_objects_v2(Bucket=default_storage.bucket_name)
    return [one["Key"].removeprefix("ota/") for one in found.get("Contents", [])]


def unfinished():
    found = default_storage.connection.meta.client.list_multipart_uploads(Bucket=default_storage.bucket_name)
    return len(found.get("Uploads", []))


def test_bytes_sent_to_the_bucket_become_the_packages_only_once_they_are_read_again(caller, package):
    assert (package["direct_upload"], package["received"]) == ("offered", 0)
    begun = begin(caller, package)
    put(caller, package)
    completed = caller.post(path(package, "/complete"))
    before = in_bucket()

    verified = verify()

    assert (begun["state"], begun["parts"], begun["part_bytes"]) == ("open", [], PART)
    assert (completed.status_code, completed.json()["direct_upload"], completed.json()["received"]) == (
        202,
        "verifying",
        0,
    )
    assert [name.startswith("uploads/") for name in before] == [True]
    assert verified == [True]
    stored = caller.get(f"/packages/{package['id']}").json()
    assert (stored["received"], stored["direct_upload"], stored["state"]) == (len(CONTENT), "not_offered", "uploading")
    assert stored["sha512"] == hashlib.sha512(CONTENT).hexdigest()
    assert (in_bucket(), unfinished(), DirectUpload.objects.count()) == ([blobs.blob_path(SHA256)], 0, 0)
    with blobs.open_blob(SHA256) as file:
        assert file.read() == CONTENT


def test_what_is_verified_is_published_as_any_other(tenant, caller, package):
    ceremony = Ceremony(tenant).establish()
    begin(caller, package)
    put(caller, package)
    caller.post(path(package, "/complete"))
    row = Package.objects.get()

    def publish():
        number = ceremony.next_version("supplier")
        signed = ceremony.role("supplier", number, entries={row.target_name: target_entry(row, CONTENT)})
        metadata = {profile.value: base64.b64encode(body).decode() for profile, body in signed.items()}
        headers = {"If-Match": f'"{number - 1}"'}
        return caller.post(f"/packages/{row.pk}/publish", {"metadata": metadata}, **headers)

    early = publish()
    verify()
    published = publish()

    assert (early.status_code, early.json()["code"]) == (409, "upload.incomplete")
    assert (published.status_code, published.json()["state"]) == (200, "published"), published.content


def test_an_address_is_for_one_part_of_one_length_and_for_an_hour(caller, package):
    begin(caller, package)

    told = caller.post(path(package, "/addresses"), {"parts": [3, 1, 3]}).json()

    assert [(one["number"], one["length"]) for one in told["addresses"]] == [(3, len(CONTENT) - 2 * PART), (1, PART)]
    assert datetime.fromisoformat(told["expires_at"]) == NOON + timedelta(hours=1)
    for one in told["addresses"]:
        query = parse_qs(urlsplit(one["url"]).query)
        assert (query["X-Amz-Expires"], query["X-Amz-SignedHeaders"]) == (["3600"], ["content-length;host"])
        assert query["partNumber"] == [str(one["number"])]


def test_a_cut_upload_tells_which_parts_are_here_and_goes_on(caller, package):
    begin(caller, package)
    put(caller, package, [1, 3])

    told = caller.get(path(package)).json()
    early = caller.post(path(package, "/complete"))
    again = begin(caller, package)
    put(caller, package, [2])

    assert told["parts"] == [{"number": 1, "length": PART}, {"number": 3, "length": len(CONTENT) - 2 * PART}]
    assert (early.status_code, early.json()["code"], early.json()["parts"]) == (409, "upload.parts_missing", [2])
    assert again["parts"] == told["parts"]
    assert caller.post(path(package, "/complete")).status_code == 202
    assert verify() == [True]
    assert caller.get(f"/packages/{package['id']}").json()["received"] == len(CONTENT)


def test_a_part_of_another_length_is_missing(caller, package):
    begin(caller, package)
    put(caller, package, [1, 2, 3], CONTENT[:-1])

    refused = caller.post(path(package, "/complete"))

    assert (refused.status_code, refused.json()["parts"]) == (409, [3])
    assert caller.get(path(package)).json()["state"] == "open"


def test_other_bytes_than_declared_are_refused_and_leave_nothing(caller, package, django_capture_on_commit_callbacks):
    begin(caller, package)
    put(caller, package, content=bytes(len(CONTENT)))
    caller.post(path(package, "/complete"))

    with django_capture_on_commit_callbacks(execute=True):
        verify()

    told = caller.get(f"/packages/{package['id']}").json()
    assert (told["state"], told["refused_code"], told["received"]) == ("refused", "package.content_differs", 0)
    assert hashlib.sha256(bytes(len(CONTENT))).hexdigest() in told["refused_reason"]
    assert (in_bucket(), unfinished(), DirectUpload.objects.count()) == ([], 0, 0)
    assert Entry.objects.get().action == "package.refused"


def test_an_upload_given_up_leaves_nothing_and_may_begin_again(caller, package):
    begin(caller, package)
    put(caller, package, [1])

    given_up = caller.post(path(package, "/abort"))
    again = caller.post(path(package, "/abort"))

    assert (given_up.status_code, given_up.json()["direct_upload"]) == (200, "offered")
    assert (again.status_code, again.json()["code"]) == (404, "upload.not_found")
    assert (in_bucket(), unfinished(), DirectUpload.objects.count()) == ([], 0, 0)
    assert begin(caller, package)["parts"] == []


def test_completing_again_changes_nothing_and_no_part_comes_after(caller, package):
    begin(caller, package)
    put(caller, package)
    answers = [caller.post(path(package, "/complete")) for _ in range(2)]

    late = caller.post(path(package, "/addresses"), {"parts": [1]})

    assert [answer.status_code for answer in answers] == [202, 202]
    assert (late.status_code, late.json()["code"]) == (409, "upload.closed")
    assert begin(caller, package)["state"] == "verifying"


def test_an_address_from_before_cannot_change_what_is_verified(caller, package):
    begin(caller, package)
    old = caller.post(path(package, "/addresses"), {"parts": [1]}).json()["addresses"][0]["url"]
    put(caller, package)
    caller.post(path(package, "/complete"))

    assert httpx.put(old, content=bytes(PART)).status_code >= 400
    verify()
    assert caller.get(f"/packages/{package['id']}").json()["received"] == len(CONTENT)


@pytest.mark.parametrize(
    "wanted", [{}, {"parts": []}, {"parts": [0]}, {"parts": [4]}, {"parts": ["1"]}, {"parts": [1] * 101}, {"parts": 1}]
)
def test_parts_that_the_file_does_not_have_are_refused(caller, package, wanted):
    begin(caller, package)

    refused = caller.post(path(package, "/addresses"), wanted)

    assert refused.status_code == 422
    assert refused["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("ending", ["", "/addresses", "/complete", "/abort"])
def test_a_member_that_nobody_reads_is_refused(caller, package, ending):
    begin(caller, package)

    refused = caller.post(path(package, ending), {"parts": [1], "part": 1})

    assert (refused.status_code, refused.json()["code"]) == (422, "request.fields_invalid")
    assert DirectUpload.objects.get().state == "open"


@pytest.mark.parametrize("ending", ["", "/addresses", "/complete", "/abort"])
def test_where_nothing_is_under_way_there_is_nothing(caller, package, ending):
    answer = (
        caller.get(path(package))
        if not ending
        else caller.post(path(package, ending), {"parts": [1]} if "add" in ending else {})
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "upload.not_found")


def test_a_package_that_takes_no_bytes_opens_no_bucket(caller, package):
    send(caller, package, CONTENT, 0)
    whole = caller.post(path(package))
    Package.objects.update(state="withdrawn")
    closed = caller.post(path(package))

    assert [(one.status_code, one.json()["code"]) for one in (whole, closed)] == [(409, "upload.closed")] * 2
    assert unfinished() == 0


def test_a_closed_bucket_offers_nothing(caller, settings):
    settings.DIRECT_UPLOADS = False
    package = declare(caller, length=len(CONTENT), sha256=SHA256)

    refused = caller.post(path(package))

    assert package["direct_upload"] == "not_offered"
    assert (refused.status_code, refused.json()["code"]) == (409, "upload.not_direct")


def test_a_role_that_does_not_publish_gets_no_address(tenant, caller, package):
    begin(caller, package)
    viewer = make_caller(tenant, "viewer")

    answers = [
        viewer.get(path(package)),
        *(viewer.post(path(package, each)) for each in ("", "/addresses", "/complete", "/abort")),
    ]

    assert [answer.status_code for answer in answers] == [403] * 5
    assert DirectUpload.objects.get().state == "open"


def test_what_nobody_finishes_lapses_with_the_package(caller, package, django_capture_on_commit_callbacks):
    begin(caller, package)
    put(caller, package, [1])

    with django_capture_on_commit_callbacks(execute=True):
        assert operations.lapse_uploads(at=NOON + UPLOAD_LIFE) == 1

    assert (in_bucket(), unfinished(), DirectUpload.objects.count()) == ([], 0, 0)


def test_of_several_workers_one_verifies_and_one_that_dies_lets_go(caller, package, monkeypatch):
    begin(caller, package)
    put(caller, package)
    caller.post(path(package, "/complete"))
    (due,) = operations.due_direct_uploads(at=NOON)

    def die(*_, **__):
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(blobs, "store_object", die)
        operations.verify_direct_upload(due, now=lambda: NOON)

    assert verify(NOON + COPY_LEASE - timedelta(seconds=1)) == []
    assert not operations.verify_direct_upload(due, now=lambda: NOON + COPY_LEASE - timedelta(seconds=1))
    assert caller.get(f"/packages/{package['id']}").json()["received"] == 0
    assert verify(NOON + COPY_LEASE) == [True]
    assert caller.get(f"/packages/{package['id']}").json()["received"] == len(CONTENT)


def test_a_worker_that_reads_for_long_says_that_it_is_at_it(caller, package, monkeypatch):
    begin(caller, package)
    put(caller, package)
    caller.post(path(package, "/complete"))
    upload, times = DirectUpload.objects.get(), iter(range(0, 10**6, 60))
    said = []

    def extended(self, duration):
        said.append(duration)

    monkeypatch.setattr(direct_uploads._Pulse, "extend", extended)
    operations.verify_direct_upload(upload.pk, now=lambda: NOON + timedelta(seconds=next(times)))

    assert said == [LEASE, COPY_LEASE]


def test_not_more_are_verified_at_a_time_than_leave_workers_for_the_rest(tenant, caller):
    for number in range(AT_A_TIME + 2):
        declared = declare(caller, name=f"engine{number}", length=len(CONTENT), sha256=SHA256)
        begin(caller, declared)
    DirectUpload.objects.update(state="verifying", etag='"x"')

    first = operations.due_direct_uploads(at=NOON)
    DirectUpload.objects.filter(pk=first[0]).update(leased_until=NOON + LEASE)

    assert len(first) == AT_A_TIME
    assert len(operations.due_direct_uploads(at=NOON)) == AT_A_TIME - 1


def test_a_crash_after_the_parts_became_one_is_mended_by_completing_again(caller, package):
    begin(caller, package)
    put(caller, package)
    upload = DirectUpload.objects.get()
    buckets.complete(upload.name, upload.upload_id, buckets.received_parts(upload.name, upload.upload_id))

    assert caller.get(path(package)).json()["parts"] == []
    assert caller.post(path(package, "/complete")).status_code == 202
    assert verify() == [True]


@pytest.mark.parametrize("is_complete", [False, True])
def test_what_the_bucket_throws_away_can_be_sent_again(caller, package, is_complete):
    begin(caller, package)
    put(caller, package)
    upload = DirectUpload.objects.get()
    if is_complete:
        caller.post(path(package, "/complete"))
    buckets.discard(upload.name, upload.upload_id)

    gone = None if is_complete else caller.post(path(package, "/complete"))
    verify()

    assert gone is None or (gone.status_code, gone.json()["code"]) == (409, DirectUploadGoneError.code)
    assert caller.get(f"/packages/{package['id']}").json()["direct_upload"] == "offered"


def test_the_same_content_of_another_package_is_left_as_it_is(caller, package):
    for version in ("1.0", "2.0"):
        declared = declare(caller, version=version, length=len(CONTENT), sha256=SHA256)
        begin(caller, declared)
        put(caller, declared)
        caller.post(path(declared, "/complete"))

    assert [verify(), verify()] == [[True, True], []]
    assert in_bucket() == [blobs.blob_path(SHA256)]
    assert [
        one["received"]
        for one in (caller.get(f"/packages/{pk}").json() for pk in Package.objects.values_list("pk", flat=True))
    ] == [len(CONTENT)] * 2


def test_what_waits_in_the_bucket_for_nobody_is_removed_after_a_day(caller, package):
    begin(caller, package)
    put(caller, package, [1])
    lost = buckets.begin("uploads/lost")
    joined = buckets.begin("uploads/joined")
    address = buckets.address("uploads/joined", joined, 1, length=5, seconds=60)
    httpx.put(address, content=b"hello")
    buckets.complete("uploads/joined", joined, buckets.received_parts("uploads/joined", joined))
    at = default_storage.get_modified_time("uploads/joined")

    # Moto says of every upload that it is years old; of objects it knows better.
    removed = [operations.remove_orphans(now=at + timedelta(hours=hours)) for hours in (0, 25, 25)]

    assert removed == [1, 1, 0]
    assert (in_bucket(), unfinished()) == ([], 1)
    assert len(caller.get(path(package)).json()["parts"]) == 1
    with pytest.raises(DirectUploadGoneError):
        buckets.received_parts("uploads/lost", lost)


def test_a_bucket_that_is_away_is_a_problem_and_no_bug(caller, package, settings, bucket_server, bucket):
    storage = bucket_server.storage(bucket)
    storage["OPTIONS"]["endpoint_url"] = "http://127.0.0.1:9"
    begin(caller, package)
    settings.STORAGES = settings.STORAGES | {"default": storage}

    answers = [caller.get(path(package)), caller.post(path(package, "/complete"))]

    assert [(one.status_code, one.json()["code"], one["Retry-After"]) for one in answers] == [
        (503, "storage.unavailable", "10")
    ] * 2
    assert DirectUpload.objects.get().state == "open"


def test_the_tick_gives_each_that_is_due_to_a_worker(caller, package, monkeypatch):
    begin(caller, package)
    put(caller, package)
    caller.post(path(package, "/complete"))
    monkeypatch.setattr(app.conf, "task_always_eager", True)
    for _ in range(2):
        tasks.verify_direct_uploads()

    assert caller.get(f"/packages/{package['id']}").json()["received"] == len(CONTENT)
