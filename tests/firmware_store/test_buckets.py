"""Packages in a bucket, against a real S3 API on loopback: the store as production has it."""

import hashlib
import io
import os
import tracemalloc
from datetime import timedelta

import httpx
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from firmware_store import blobs, buckets, operations, parts, signed_urls
from firmware_store.errors import BlobNotFoundError
from otaserver import clock, storage_urls
from tests.factories import make_package, make_tenant
from tests.firmware_store.ceremony import Ceremony

pytestmark = [pytest.mark.any_database, pytest.mark.xdist_group("bucket")]

CONTENT = os.urandom(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _bucket(bucket):
    """Every test has one."""


def test_what_was_sent_through_the_server_is_stored_published_and_read_from_any_place(db):
    package = Ceremony(make_tenant()).establish().publish(CONTENT)

    with blobs.open_blob(package.sha256) as file:
        read = [file.read(5), file.seek(-7, io.SEEK_END), file.read(), file.seek(300_000), file.read(9), file.tell()]

    assert (package.state, blobs.has_blob(SHA256, length=len(CONTENT))) == ("published", True)
    assert read == [CONTENT[:5], len(CONTENT) - 7, CONTENT[-7:], 300_000, CONTENT[300_000:300_009], 300_009]


def test_vehicles_are_sent_to_the_bucket_which_serves_ranges(db, settings):
    default_storage.save(blobs.blob_path(SHA256), ContentFile(CONTENT))
    expires = int(clock.now().timestamp()) + 60
    query = signed_urls.sign(SHA256, expires=expires, secret=settings.URL_SECRET)

    answer = Client().get(f"/downloads/{SHA256}?{query}")
    whole = httpx.get(answer["Location"])
    part = httpx.get(answer["Location"], headers={"Range": "bytes=699990-"})
    forged = Client().get(f"/downloads/{SHA256}?{query[:-1]}x")

    assert (answer.status_code, answer["Cache-Control"]) == (302, "no-store")
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (
        206,
        CONTENT[-10:],
        "bytes 699990-699999/700000",
    )
    assert forged.status_code == 403


def test_what_is_not_there_is_not_there():
    with pytest.raises(BlobNotFoundError):
        blobs.open_blob(SHA256)
    assert not blobs.has_blob(SHA256, length=len(CONTENT))


def test_a_file_is_read_on_where_its_connection_ended():
    default_storage.save(blobs.blob_path(SHA256), ContentFile(CONTENT))

    with blobs.open_blob(SHA256) as file:
        start = file.read(1000)
        file.raw._body.close()
        rest = file.read()

    assert start + rest == CONTENT


def test_a_file_that_becomes_another_while_it_is_read_is_not_read_on():
    default_storage.save("uploads/x", ContentFile(CONTENT))

    with buckets.open_object("uploads/x") as file:
        file.read(10)
        default_storage.save("uploads/x", ContentFile(CONTENT[::-1]))
        file.seek(500_000)
        with pytest.raises(BlobNotFoundError):
            file.read(10)


def test_reading_a_large_file_takes_no_more_memory_than_a_small_one():
    length = 24 * parts.MIB
    default_storage.save("uploads/large", ContentFile(bytes(length)))
    tracemalloc.start()
    try:
        with buckets.open_object("uploads/large") as file:
            digests = blobs.digest_of(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (digests.length, digests.sha256) == (length, hashlib.sha256(bytes(length)).hexdigest())
    assert peak < 4 * parts.MIB


def test_files_that_no_package_needs_are_removed_from_the_bucket(db):
    needed, orphan = hashlib.sha256(b"needed").hexdigest(), hashlib.sha256(b"orphan").hexdigest()
    for sha256, content in ((needed, b"needed"), (orphan, b"orphan")):
        default_storage.save(blobs.blob_path(sha256), ContentFile(content))
    make_package(make_tenant(), sha256=needed)
    at = default_storage.get_modified_time(blobs.blob_path(orphan))

    removed = [operations.remove_orphans(now=at + timedelta(hours=hours)) for hours in (0, 25, 25)]

    assert removed == [0, 1, 0]
    assert [default_storage.exists(blobs.blob_path(each)) for each in (needed, orphan)] == [True, False]


@pytest.mark.parametrize(
    ("length", "part_bytes", "count"),
    [
        (1, parts.PART_BYTES, 1),
        (parts.PART_BYTES, parts.PART_BYTES, 1),
        (parts.PART_BYTES + 1, parts.PART_BYTES, 2),
        (parts.PART_BYTES * 10_000, parts.PART_BYTES, 10_000),
        (parts.PART_BYTES * 10_000 + 1, parts.PART_BYTES + parts.MIB, 9412),
        (5 * 1024**4, 525 * parts.MIB, 9987),
    ],
)
def test_a_file_of_any_length_is_cut_into_parts_that_a_bucket_takes(length, part_bytes, count):
    lengths = parts.part_lengths(length, parts.part_bytes_for(length))

    assert (parts.part_bytes_for(length), len(lengths), sum(lengths.values())) == (part_bytes, count, length)
    assert min(lengths.values()) > 0


def test_parts_of_another_length_are_missing():
    assert parts.missing_parts({1: 5, 2: 5, 3: 2}, {1: 5, 2: 4, 9: 5}) == [2, 3]


def test_the_address_of_a_bucket_says_what_django_storages_wants_to_know():
    found = storage_urls.storage_of("s3://packages?region_name=eu&use_ssl=false&querystring_expire=60&secret_key=007")

    assert found == {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": "packages",
            "region_name": "eu",
            "use_ssl": False,
            "querystring_expire": 60,
            "secret_key": "007",
            "signature_version": "s3v4",
            "max_memory_size": 8 * parts.MIB,
        },
    }


# With two slashes `srv` would be a host, and the folder another one.
NO_FOLDERS = ["file://srv/packages", "file://", "file:///"]


@pytest.mark.parametrize("url", ["ftp://x", "s3://", "", "s3://b?querystring_expire=soon", *NO_FOLDERS])
def test_another_address_is_refused(url):
    with pytest.raises(ValueError):
        storage_urls.storage_of(url)
