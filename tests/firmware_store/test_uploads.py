import hashlib
import io
from datetime import timedelta

import pytest

from firmware_store import blobs, operations
from firmware_store.errors import (
    PackageContentDiffersError,
    PackageDeclarationRefusedError,
    PackageNameTakenError,
    PackageTooLargeError,
    UploadClosedError,
    UploadIncompleteError,
    UploadOffsetError,
    UploadTooLongError,
)
from firmware_store.models import Package
from firmware_store.operations.uploads import UPLOAD_LIFE
from firmware_store.states import PackageState
from otaserver.audit.models import Entry
from otaserver.statemachine import InvalidTransitionError
from tests.factories import NOON, make_tenant
from tests.firmware_store.ceremony import Ceremony

pytestmark = pytest.mark.django_db
CONTENT = b"firmware" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def begin(tenant, **changes):
    values = {
        "role": "supplier",
        "name": "engine",
        "version": "1.0",
        "hardware_ids": ["gateway", "brake"],
        "release_counter": 3,
        "filename": "engine.bin",
        "length": len(CONTENT),
        "sha256": SHA256,
    }
    return operations.begin_package(tenant, **(values | changes), by="alice", at=NOON)


def append(package, content=CONTENT, offset=0):
    return operations.append_bytes(package, io.BytesIO(content), offset=offset, at=NOON)


@pytest.fixture
def tenant():
    return make_tenant()


def test_a_declared_package_waits_for_its_bytes(tenant):
    package = begin(tenant)

    assert package.state == PackageState.UPLOADING
    assert package.target_name == "supplier/engine-1.0"
    assert package.hardware_ids == ["brake", "gateway"]
    assert operations.received_bytes(package) == 0


def test_the_same_declaration_again_goes_on_with_the_same_upload(tenant):
    package = begin(tenant)
    append(package, CONTENT[:100])

    again = begin(tenant, hardware_ids=["brake", "gateway"])

    assert again == package
    assert operations.received_bytes(again) == 100
    assert Package.objects.count() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "a" * 64},
        {"length": 5},
        {"hardware_ids": ["gateway"]},
        {"release_counter": 4},
        {"filename": "other.bin"},
    ],
)
def test_a_name_reused_with_other_content_is_refused(tenant, changes):
    package = begin(tenant)

    with pytest.raises(PackageNameTakenError) as refusal:
        begin(tenant, **changes)

    assert refusal.value.details == {"package": package.pk, "state": "uploading"}
    assert Package.objects.count() == 1


def test_two_names_that_make_one_target_name_are_one_name(tenant):
    begin(tenant, name="engine-1", version="0")

    with pytest.raises(PackageNameTakenError):
        begin(tenant, name="engine", version="1-0")


def test_another_tenant_may_use_the_same_name(tenant):
    begin(tenant)

    assert begin(make_tenant(), sha256="a" * 64).state == PackageState.UPLOADING


@pytest.mark.parametrize("name", ["root", "targets", "snapshot", "timestamp", "Supplier", "a/b", "", "a" * 41, "é"])
def test_a_role_that_could_not_be_delegated_is_refused(tenant, name):
    refused(tenant, role=name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "../x",
        "a/b",
        "/abs",
        "a b",
        "a%2e",
        "a\0b",
        "a\nb",
        "ä",
        "e\u0301",
        "a" * 81,
        "\uff41",
    ],
)
def test_a_name_that_is_no_safe_path_is_refused(tenant, name):
    refused(tenant, name=name)


@pytest.mark.parametrize("version", ["", "1/2", "1 0", "1\0", "ä", "1" * 61, "1+2"])
def test_a_version_that_is_no_safe_path_is_refused(tenant, version):
    refused(tenant, version=version)


@pytest.mark.parametrize("ids", [[], ["a", "a"], ["a b"], [""], ["ä"], ["a" * 65]])
def test_hardware_ids_are_some_printable_names_each_once(tenant, ids):
    refused(tenant, hardware_ids=ids)


@pytest.mark.parametrize(
    "changes",
    [
        {"release_counter": -1},
        {"release_counter": 2**31},
        {"filename": ""},
        {"filename": "a/b"},
        {"filename": "a" * 256},
        {"length": 0},
        {"length": -1},
        {"sha256": SHA256.upper()},
        {"sha256": SHA256[:-1]},
    ],
)
def test_other_values_out_of_their_form_are_refused(tenant, changes):
    refused(tenant, **changes)


def refused(tenant, **changes):
    with pytest.raises(PackageDeclarationRefusedError):
        begin(tenant, **changes)
    assert not Package.objects.exists()


def test_a_package_larger_than_allowed_is_refused_before_any_byte(tenant, settings):
    settings.MAX_PACKAGE_BYTES = len(CONTENT) - 1

    with pytest.raises(PackageTooLargeError):
        begin(tenant)

    assert not Package.objects.exists()


def test_bytes_go_on_where_they_ended(tenant):
    package = begin(tenant)

    assert append(package, CONTENT[:300]) == 300
    with pytest.raises(UploadOffsetError) as refusal:
        append(package, CONTENT[:300])
    assert refusal.value.details == {"offset": 300}
    assert append(package, CONTENT[300:], offset=300) == len(CONTENT)


def test_more_bytes_than_declared_are_refused(tenant):
    package = begin(tenant)

    with pytest.raises(UploadTooLongError):
        append(package, CONTENT + b"x")
    assert operations.received_bytes(package) == 0

    append(package)
    with pytest.raises(UploadTooLongError):
        append(package, b"x", offset=len(CONTENT))
    with pytest.raises(UploadOffsetError):
        append(package, b"x", offset=5)
    assert append(package, b"", offset=len(CONTENT)) == len(CONTENT)


def test_complete_content_is_stored_with_all_digests_and_once_more_changes_nothing(tenant):
    package = begin(tenant)
    append(package)

    for _ in range(2):
        operations.settle_content(package)

    stored = Package.objects.get()
    assert stored.sha512 == hashlib.sha512(CONTENT).hexdigest()
    assert stored.sha1 == hashlib.sha1(CONTENT).hexdigest()
    assert stored.md5 == hashlib.md5(CONTENT).hexdigest()
    assert blobs.has_blob(SHA256, length=len(CONTENT))
    assert operations.received_bytes(stored) == len(CONTENT)


def test_a_crash_between_noting_the_digests_and_storing_is_mended(tenant):
    package = begin(tenant)
    append(package)
    Package.objects.update(sha512="noted, and then the lights went out")
    package.refresh_from_db()

    operations.settle_content(package)

    assert blobs.has_blob(SHA256, length=len(CONTENT))
    assert Package.objects.get().sha512 == hashlib.sha512(CONTENT).hexdigest()


def test_a_truncated_upload_is_incomplete_and_can_go_on(tenant):
    package = begin(tenant)
    append(package, CONTENT[:-1])

    with pytest.raises(UploadIncompleteError) as refusal:
        operations.settle_content(package)

    assert refusal.value.details == {"offset": len(CONTENT) - 1}
    append(package, CONTENT[-1:], offset=len(CONTENT) - 1)
    operations.settle_content(package)


def test_other_bytes_than_declared_are_not_stored(tenant):
    package = begin(tenant)
    append(package, b"x" * len(CONTENT))

    with pytest.raises(PackageContentDiffersError):
        operations.settle_content(package)

    assert not blobs.has_blob(SHA256, length=len(CONTENT))


def test_content_that_was_published_before_need_not_be_sent_again():
    ceremony = Ceremony(make_tenant()).establish()
    first = ceremony.publish(CONTENT)

    package = begin(ceremony.tenant, version="2.0")

    assert operations.received_bytes(package) == len(CONTENT)
    assert package.sha512 == first.sha512


def test_another_tenant_s_content_is_no_shortcut():
    Ceremony(make_tenant()).establish().publish(CONTENT)

    package = begin(make_tenant())

    assert operations.received_bytes(package) == 0
    assert package.sha512 == ""


def test_an_abandoned_upload_frees_its_name_and_its_bytes(tenant, django_capture_on_commit_callbacks):
    package = begin(tenant)
    append(package)

    with django_capture_on_commit_callbacks(execute=True):
        operations.abandon_package(package, by="alice", at=NOON)

    assert package.state == PackageState.REFUSED
    assert package.refused_code == "package.abandoned"
    assert blobs.received_bytes(f"{package.pk}-{SHA256}") == 0
    assert begin(tenant, sha256="a" * 64) != package
    assert Entry.objects.get().action == "package.refused"


def test_a_published_package_cannot_be_abandoned():
    package = Ceremony(make_tenant()).establish().publish(CONTENT)

    with pytest.raises(InvalidTransitionError):
        operations.abandon_package(package, by="alice", at=NOON)

    assert Package.objects.get().state == PackageState.PUBLISHED
    assert blobs.has_blob(SHA256, length=len(CONTENT))


def test_refused_content_that_another_package_needs_stays(tenant, django_capture_on_commit_callbacks):
    first, second = begin(tenant), begin(tenant, version="2.0")
    for package in (first, second):
        append(package)
        operations.settle_content(package)

    with django_capture_on_commit_callbacks(execute=True):
        operations.abandon_package(first, by="alice", at=NOON)
    assert blobs.has_blob(SHA256, length=len(CONTENT))

    with django_capture_on_commit_callbacks(execute=True):
        operations.abandon_package(second, by="alice", at=NOON)
    assert not blobs.has_blob(SHA256, length=len(CONTENT))


def test_an_upload_that_nobody_finishes_lapses_once(tenant):
    package = begin(tenant)

    assert operations.lapse_uploads(at=NOON + UPLOAD_LIFE - timedelta(seconds=1)) == 0
    assert operations.lapse_uploads(at=NOON + UPLOAD_LIFE) == 1
    assert operations.lapse_uploads(at=NOON + UPLOAD_LIFE) == 0

    assert Package.objects.get().refused_code == "upload.lapsed"
    with pytest.raises(UploadClosedError):
        operations.append_bytes(package, io.BytesIO(b"x"), offset=0, at=NOON + UPLOAD_LIFE)
