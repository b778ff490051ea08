"""What is kept outside the database, so that it outlives it."""

import os

import pytest

from firmware_store.states import Profile, Repository
from firmware_store.trust import outside
from firmware_store.trust.errors import OutsideUnwritableError
from tests.factories import make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def tenant():
    return make_tenant("acme")


def marks():
    return sorted(path.name for path in (outside.folder("acme") / "issued").iterdir())


def test_versions_are_noted_a_thousand_at_a_time_and_by_repository(tenant):
    for version in (1, 2, 1000, 1001, 999):
        outside.note_issued(tenant, Repository.DIRECTOR, version)
    outside.note_issued(tenant, Repository.IMAGE, 1)

    assert marks() == ["director-1000", "director-2000", "image-1000"]
    assert outside.highest_issued(tenant, Repository.DIRECTOR) == 2000
    assert outside.tenants_noted() == {"acme"}


def test_a_second_process_notes_the_same(tenant, monkeypatch):
    outside.note_issued(tenant, Repository.DIRECTOR, 1500)
    monkeypatch.setattr(outside, "_noted", {})

    outside.note_issued(tenant, Repository.DIRECTOR, 7)

    assert marks() == ["director-1000", "director-2000"]


def test_the_disk_knows_before_the_caller_does(tenant, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))

    outside.note_issued(tenant, Repository.DIRECTOR, 1)

    folder = outside.folder("acme") / "issued"
    assert synced[1:] == [str(folder), str(folder.parent)]
    assert ".director-1000." in synced[0]


def test_nothing_is_noted_where_nothing_can_be_written(tenant, settings, tmp_path):
    (tmp_path / "file").touch()
    settings.ONLINE_KEYS = str(tmp_path / "file")

    with pytest.raises(OutsideUnwritableError) as refusal:
        outside.note_issued(tenant, Repository.DIRECTOR, 1)

    assert (refusal.value.status, refusal.value.code) == (503, "online_key.record_unwritable")
    assert outside.highest_issued(tenant, Repository.DIRECTOR) == 0


def test_what_people_sign_is_kept_and_what_the_server_signs_is_not(tenant):
    bodies = {Profile.TUF: b'{"a":1}', Profile.AKTUALIZR: b'{"b":2}'}
    for role, version in (("root", 1), ("root", 2), ("supplier", 10), ("timestamp", 3), ("snapshot", 3)):
        outside.keep_published(tenant, Repository.IMAGE, role, version, bodies)

    assert outside.published(tenant, Repository.IMAGE, "root", after=1) == {2: bodies}
    assert outside.published(tenant, Repository.IMAGE, "supplier", after=0) == {10: bodies}
    assert outside.published(tenant, Repository.IMAGE, "timestamp", after=0) == {}
    assert outside.published(tenant, Repository.DIRECTOR, "root", after=0) == {}
