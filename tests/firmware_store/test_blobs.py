import errno
import fcntl
import hashlib
import io
import os
import resource
import threading
from contextlib import contextmanager

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage

from firmware_store import blobs
from firmware_store.errors import (
    BlobNotFoundError,
    UploadBusyError,
    UploadIncompleteError,
    UploadOffsetError,
    UploadTooLongError,
)
from otaserver.errors import StorageFullError

CONTENT = os.urandom(700_000)
LENGTH = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _folders(settings, tmp_path):
    settings.UPLOAD_DIR = tmp_path / "uploads"
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path / "blobs")},
    }
    settings.STORAGES = settings.STORAGES | {"default": storage}


def append(content=CONTENT, *, offset=0, length=LENGTH):
    return blobs.append("one", io.BytesIO(content), offset=offset, length=length)


class BrokenStream:
    """Gives some bytes and then the error of a connection that ended."""

    def __init__(self, content):
        self.blocks = [content]

    def read(self, size):
        if not self.blocks:
            raise ConnectionResetError
        return self.blocks.pop()


def test_an_upload_in_parts_becomes_a_file_with_all_its_digests():
    assert append(CONTENT[:300_000]) == 300_000
    assert append(CONTENT[300_000:], offset=300_000) == LENGTH

    digests = blobs.digest_upload("one")
    blobs.store("one", sha256=SHA256, length=LENGTH)

    assert digests == blobs.Digests(
        length=LENGTH,
        sha256=SHA256,
        sha512=hashlib.sha512(CONTENT).hexdigest(),
        sha1=hashlib.sha1(CONTENT).hexdigest(),
        md5=hashlib.md5(CONTENT).hexdigest(),
    )
    with blobs.open_blob(SHA256) as file:
        assert file.read() == CONTENT
    assert blobs.received_bytes("one") == 0


def test_the_file_lies_under_two_levels_of_folders():
    assert blobs.blob_path("abcdef") == "ab/cd/abcdef"


def test_an_upload_that_never_began_has_received_nothing():
    assert blobs.received_bytes("one") == 0


def test_a_wrong_offset_is_refused_with_the_right_one():
    append(CONTENT[:1000])

    for offset in (0, 999, 1001):
        with pytest.raises(UploadOffsetError) as refusal:
            append(offset=offset)
        assert refusal.value.details == {"offset": 1000}

    assert blobs.received_bytes("one") == 1000


def test_more_bytes_than_declared_are_refused_and_the_upload_is_as_before():
    append(CONTENT[:1000], length=600_000)

    with pytest.raises(UploadTooLongError):
        append(CONTENT[1000:], offset=1000, length=600_000)

    assert blobs.received_bytes("one") == 1000


def test_a_broken_connection_loses_nothing_that_arrived():
    with pytest.raises(ConnectionResetError):
        blobs.append("one", BrokenStream(CONTENT[:5000]), offset=0, length=LENGTH)

    assert append(CONTENT[5000:], offset=5000) == LENGTH
    assert blobs.digest_upload("one").sha256 == SHA256


class Paused:
    """Sends each block when it is let go, and tells when the one before has been taken."""

    def __init__(self, *blocks):
        self.blocks, self.waits, self.go = list(blocks), threading.Event(), threading.Event()

    def read(self, size):
        if len(self.blocks) == 1:
            self.waits.set()
            assert self.go.wait(10)
        return self.blocks.pop(0) if self.blocks else b""


@contextmanager
def appending(stream, **arguments):
    """Append in another thread, which has taken all but the last block; yield what becomes of it, and let it end."""
    refusals = []

    def run():
        try:
            blobs.append("one", stream, **({"offset": 0, "length": LENGTH} | arguments))
        except UploadTooLongError as refusal:
            refusals.append(refusal)

    thread = threading.Thread(target=run)
    thread.start()
    assert stream.waits.wait(10)
    try:
        yield refusals
    finally:
        stream.go.set()
        thread.join()


def test_two_requests_cannot_append_to_one_upload_at_once():
    with appending(Paused(b"")), pytest.raises(UploadBusyError):
        append()

    assert append() == LENGTH


def test_an_upload_cannot_be_published_while_a_connection_may_still_change_it():
    with appending(Paused(CONTENT, b"x")) as refusals:
        assert blobs.received_bytes("one") == LENGTH
        with pytest.raises(UploadBusyError), blobs.held("one"):
            blobs.store("one", sha256=SHA256, length=LENGTH)

    assert len(refusals) == 1
    assert blobs.received_bytes("one") == 0
    assert not blobs.has_blob(SHA256, length=LENGTH)


def test_an_upload_takes_no_bytes_while_it_is_published():
    append(CONTENT[:1000])

    with blobs.held("one"), pytest.raises(UploadBusyError):
        append(CONTENT[1000:], offset=1000)

    assert blobs.received_bytes("one") == 1000


def test_an_upload_that_never_began_cannot_be_held():
    with pytest.raises(UploadIncompleteError), blobs.held("one"):
        pass

    assert not blobs.received_bytes("one")


def test_a_stored_file_is_never_cut_by_a_connection_that_was_open_before():
    """Without the lock, as on a network disk that knows none."""
    with appending(Paused(CONTENT, b"x")) as refusals:
        blobs.store("one", sha256=SHA256, length=LENGTH)

    assert len(refusals) == 1
    with blobs.open_blob(SHA256) as file:
        assert file.read() == CONTENT


def test_a_connection_that_opened_an_upload_just_before_it_was_stored_gets_no_hold_of_the_file(monkeypatch):
    append()
    lock = fcntl.flock

    def store_first(descriptor, operation):
        monkeypatch.setattr(fcntl, "flock", lock)
        blobs.store("one", sha256=SHA256, length=LENGTH)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", store_first)
    with pytest.raises(UploadBusyError):
        append(b"x", offset=LENGTH, length=LENGTH + 1)

    assert blobs.has_blob(SHA256, length=LENGTH)
    assert blobs.received_bytes("one") == 0


@pytest.fixture
def file_size_limit():
    """Let no file of this process grow beyond a size: a real refusal of the kernel, in the middle of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_what_arrived_and_the_upload_goes_on_later(file_size_limit):
    file_size_limit(400_000)
    with pytest.raises(StorageFullError):
        append()
    file_size_limit(resource.RLIM_INFINITY)

    received = blobs.received_bytes("one")
    assert received == 400_000
    assert append(CONTENT[received:], offset=received) == LENGTH
    assert blobs.digest_upload("one").sha256 == SHA256


def test_a_device_without_space_is_storage_full(settings):
    settings.UPLOAD_DIR.mkdir()
    (settings.UPLOAD_DIR / "one.part").symlink_to("/dev/full")

    with pytest.raises(StorageFullError) as refusal:
        append()

    assert refusal.value.__cause__.errno == errno.ENOSPC


class FullStorage(FileSystemStorage):
    """A file system that fills up in the middle of a copy and leaves a part, as another disk or a bucket would."""

    def _save(self, name, content):
        saved = super()._save(name, ContentFile(content.read(1000)))
        raise OSError(errno.ENOSPC, "No space left on device", saved)


def test_a_storage_that_is_full_keeps_the_upload_and_no_part_of_the_file(settings):
    append()
    backend = {"BACKEND": f"{__name__}.FullStorage", "OPTIONS": settings.STORAGES["default"]["OPTIONS"]}
    settings.STORAGES = settings.STORAGES | {"default": backend}

    with pytest.raises(StorageFullError):
        blobs.store("one", sha256=SHA256, length=LENGTH)

    assert not default_storage.exists(blobs.blob_path(SHA256))
    assert blobs.received_bytes("one") == LENGTH


def test_a_part_of_a_file_left_by_a_crash_is_replaced():
    path = default_storage.path(blobs.blob_path(SHA256))
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as file:
        file.write(CONTENT[:1000])
    append()

    assert not blobs.has_blob(SHA256, length=LENGTH)
    blobs.store("one", sha256=SHA256, length=LENGTH)

    with blobs.open_blob(SHA256) as file:
        assert file.read() == CONTENT


def test_content_that_is_stored_already_is_stored_once():
    for upload in ("one", "two"):
        blobs.append(upload, io.BytesIO(CONTENT), offset=0, length=LENGTH)
        blobs.store(upload, sha256=SHA256, length=LENGTH)

    folder = os.path.dirname(default_storage.path(blobs.blob_path(SHA256)))
    assert os.listdir(folder) == [SHA256]
    assert blobs.received_bytes("two") == 0


def test_storing_again_after_a_crash_changes_nothing():
    append()
    blobs.store("one", sha256=SHA256, length=LENGTH)

    blobs.store("one", sha256=SHA256, length=LENGTH)

    assert blobs.has_blob(SHA256, length=LENGTH)


def test_a_file_that_is_needed_is_not_deleted():
    append()
    blobs.store("one", sha256=SHA256, length=LENGTH)

    blobs.delete_unless(SHA256, lambda: True)
    assert blobs.has_blob(SHA256, length=LENGTH)

    blobs.delete_unless(SHA256, lambda: False)
    with pytest.raises(BlobNotFoundError):
        blobs.open_blob(SHA256)


def test_files_at_rest_are_readable_for_the_server_alone_while_uploading(settings):
    append(CONTENT[:10])

    assert (settings.UPLOAD_DIR / "one.part").stat().st_mode & 0o777 == 0o600


def test_a_stored_file_is_written_by_nobody():
    append()
    blobs.store("one", sha256=SHA256, length=LENGTH)

    assert os.stat(default_storage.path(blobs.blob_path(SHA256))).st_mode & 0o777 == 0o444
