import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from firmware_store import blobs, operations, quotas
from firmware_store.errors import PackageDeclarationRefusedError, StorageQuotaError
from firmware_store.models import Package
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_package, make_tenant

pytestmark = [pytest.mark.any_database, pytest.mark.django_db]

LATER = timedelta(hours=25)


def now():
    return datetime.now(tz=UTC)


def stored(content):
    sha256 = hashlib.sha256(content).hexdigest()
    default_storage.save(blobs.blob_path(sha256), ContentFile(content))
    return sha256


def declare(tenant, name="engine", **values):
    given = {"length": 1000, "sha256": hashlib.sha256(name.encode()).hexdigest()} | values
    return operations.begin_package(
        tenant,
        role="supplier",
        name=name,
        version="1",
        hardware_ids=["gateway"],
        release_counter=0,
        filename="x",
        by="ann",
        at=NOON,
        **given,
    )


def test_a_file_that_no_package_refers_to_is_removed_once_it_is_a_day_old():
    tenant = make_tenant()
    needed, refused, orphan = stored(b"needed"), stored(b"refused"), stored(b"orphan")
    make_package(tenant, "a", sha256=needed, state="withdrawn")
    make_package(tenant, "b", sha256=refused, state="refused")

    assert operations.remove_orphans(now=now()) == 0
    assert [operations.remove_orphans(now=now() + LATER), operations.remove_orphans(now=now() + LATER)] == [2, 0]
    assert [default_storage.exists(blobs.blob_path(one)) for one in (needed, refused, orphan)] == [True, False, False]


def test_what_is_no_packages_file_is_left():
    default_storage.save("imports/0123", ContentFile(b"x"))
    default_storage.save("ab/cd/readme", ContentFile(b"x"))

    assert operations.remove_orphans(now=now() + LATER) == 0


def test_a_file_that_is_declared_between_the_question_and_the_deletion_stays(monkeypatch):
    tenant, sha256 = make_tenant(), stored(b"needed soon")
    real = blobs.delete_unless

    def late(digest, is_needed):
        make_package(tenant, sha256=digest)
        real(digest, is_needed)

    monkeypatch.setattr(blobs, "delete_unless", late)

    assert operations.remove_orphans(now=now() + LATER) == 0
    assert default_storage.exists(blobs.blob_path(sha256))


def test_uploads_without_a_package_are_removed_and_others_left(settings):
    folder = Path(settings.UPLOAD_DIR)
    folder.mkdir(parents=True)
    package = declare(make_tenant())
    mine = folder / f"{package.pk}-{package.sha256}.part"
    gone = folder / f"{package.pk + 1}-{package.sha256}.part"
    for path in (mine, gone, folder / "ab.lock"):
        path.touch()
        os.utime(path, (0, 0))

    assert operations.remove_orphans(now=now()) == 1
    assert sorted(path.name for path in folder.iterdir()) == sorted([mine.name, "ab.lock"])


def test_what_goes_beyond_the_quota_is_refused_and_nothing_declared():
    tenant = make_tenant(storage_quota_bytes=1500)
    declare(tenant, "first")

    with pytest.raises(StorageQuotaError) as refused:
        declare(tenant, "second")

    assert refused.value.details == {"quota": 1500, "used": 1000, "length": 1000}
    assert Package.objects.get().name == "first"


def test_the_same_content_counts_once_and_what_is_given_up_not_at_all():
    tenant = make_tenant(storage_quota_bytes=1000)
    first = make_package(tenant, "first", length=1000)
    declare(tenant, "again", sha256=first.sha256)
    assert quotas.used_bytes(tenant) == 1000

    Package.objects.filter(pk=first.pk).delete()
    operations.abandon_package(Package.objects.select_related("tenant").get(), by="ann", at=NOON)

    assert (quotas.used_bytes(tenant), declare(tenant, "second").length) == (0, 1000)


def test_every_open_upload_counts_whatever_it_says_will_be_in_it():
    tenant = make_tenant(storage_quota_bytes=2500)
    first = declare(tenant, "first")
    declare(tenant, "again", sha256=first.sha256)
    assert quotas.used_bytes(tenant) == 2000

    with pytest.raises(StorageQuotaError):
        declare(tenant, "once-more", sha256=first.sha256)

    assert Package.objects.count() == 2


@pytest.mark.parametrize("quota", [None, 10**9])
def test_one_digest_with_another_length_is_refused(quota):
    tenant = make_tenant(storage_quota_bytes=quota)
    first = declare(tenant, "first")

    with pytest.raises(PackageDeclarationRefusedError) as refused:
        declare(tenant, "again", sha256=first.sha256, length=1)

    assert refused.value.message.endswith("with 1000 bytes, not 1.")
    assert declare(make_tenant(), "again", sha256=first.sha256, length=1).length == 1
    assert Package.objects.filter(tenant=tenant).count() == 1


def test_tenants_have_room_of_their_own_and_without_a_quota_as_much_as_there_is():
    declare(make_tenant(), "a", length=10**9)
    other = make_tenant(storage_quota_bytes=1000)

    declare(other, "b")

    assert Tenant.objects.get(pk=other.pk).storage_quota_bytes == quotas.used_bytes(other)
