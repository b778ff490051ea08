"""Online keys, the metadata that they sign, and the watch over all expiries."""

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from firmware_store.models import ExpiryWarning, OnlineKey, RoleMetadata
from firmware_store.states import Profile, Repository
from firmware_store.trust import operations, primitives, profiles, queries, signing
from firmware_store.trust.errors import NotStrictJsonError, OnlineKeyMissingError, OnlineKeyStoreError
from otaserver.audit.models import Entry
from tests.factories import NOON, make_tenant
from tests.firmware_store.ceremony import Ceremony

pytestmark = pytest.mark.django_db


@pytest.fixture
def ceremony():
    return Ceremony(make_tenant()).establish()


def versions(ceremony):
    return tuple(queries.latest_version(ceremony.tenant, Repository.IMAGE, role) for role in ("snapshot", "timestamp"))


def test_every_online_role_gets_one_key_and_repeating_makes_no_more():
    tenant = make_tenant()

    made = operations.create_online_keys(tenant, at=NOON)

    assert {(key.repository, key.role) for key in made} == {
        ("director", "targets"),
        ("director", "snapshot"),
        ("director", "timestamp"),
        ("image", "snapshot"),
        ("image", "timestamp"),
    }
    assert operations.create_online_keys(tenant, at=NOON) == []
    assert OnlineKey.objects.count() == 5


def test_rotating_makes_one_waiting_key_per_role_however_often():
    tenant = make_tenant()
    active = {key.keyid for key in operations.create_online_keys(tenant, at=NOON)}

    waiting = operations.create_online_keys(tenant, at=NOON, rotate=True)

    assert operations.create_online_keys(tenant, at=NOON, rotate=True) == []
    assert operations.create_online_keys(tenant, at=NOON) == []
    assert len(waiting) == 5
    assert all(key.activated_at is None for key in waiting)
    assert signing.online_signer(tenant, "director", "targets").keyid in active
    listed = {primitives.keyid_of(key) for name in Repository for key in queries.online_keys(tenant, name).values()}
    assert listed == {key.keyid for key in waiting}


def test_private_keys_are_files_for_the_server_alone(settings):
    tenant = make_tenant()

    operations.create_online_keys(tenant, at=NOON)

    folder = Path(settings.ONLINE_KEYS) / tenant.name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600] * 5


@pytest.mark.parametrize("place", ["hv:transit", "relative/folder", "/var/keys?x", ""])
def test_keys_are_made_only_in_a_folder(settings, place):
    settings.ONLINE_KEYS = place
    tenant = make_tenant()

    with pytest.raises(OnlineKeyStoreError):
        operations.create_online_keys(tenant, at=NOON)

    assert not OnlineKey.objects.exists()


@pytest.mark.parametrize("profile", list(Profile))
def test_a_signer_signs_a_body_as_it_is(profile):
    tenant = make_tenant()
    operations.create_online_keys(tenant, at=NOON)
    signer = signing.online_signer(tenant, "director", "targets")
    signed = {"_type": "anything", "vehicle_id": "VIN1", "n": [1, None, True]}

    envelope = signer.envelope(signed, profile)

    read = json.loads(envelope)
    assert primitives.canonical(read) == envelope
    assert read["signed"] == signed
    assert read["signatures"][0]["keyid"] == signer.keyid


def test_a_signer_signs_nothing_that_has_no_canonical_form():
    tenant = make_tenant()
    operations.create_online_keys(tenant, at=NOON)

    for signed in ({"a": 1.5}, {"a": "é"}):
        with pytest.raises(NotStrictJsonError):
            signing.online_signer(tenant, "director", "targets").envelope(signed, Profile.TUF)


def test_without_a_key_there_is_no_signer():
    with pytest.raises(OnlineKeyMissingError):
        signing.online_signer(make_tenant(), "director", "targets")


def test_several_signers_cost_one_query_and_no_file(django_assert_num_queries):
    tenant = make_tenant()
    operations.create_online_keys(tenant, at=NOON)
    roles = ["targets", "snapshot", "timestamp"]
    before = signing.online_signers(tenant, "director", roles=roles)

    with django_assert_num_queries(1):
        after = signing.online_signers(tenant, "director", roles=roles)

    assert all(after[role].signer is before[role].signer for role in roles)


def test_nothing_is_refreshed_while_a_quarter_of_its_life_is_left(ceremony):
    before = versions(ceremony)

    assert not operations.refresh_online(ceremony.tenant, at=NOON + timedelta(hours=18))
    assert versions(ceremony) == before == (1, 1)


def test_a_timestamp_near_its_end_is_signed_anew_alone_and_once(ceremony):
    later = NOON + timedelta(hours=18, seconds=1)

    assert operations.refresh_online(ceremony.tenant, at=later)
    assert not operations.refresh_online(ceremony.tenant, at=later)

    assert versions(ceremony) == (1, 2)
    for profile in Profile:
        row = queries.role_metadata(ceremony.tenant, Repository.IMAGE, "timestamp", profile)
        assert row.expires_at == later + timedelta(days=1)


def test_a_snapshot_near_its_end_is_signed_anew_with_its_timestamp(ceremony):
    later = NOON + timedelta(days=6)

    assert operations.refresh_online(ceremony.tenant, at=later)
    assert not operations.refresh_online(ceremony.tenant, at=later)

    assert versions(ceremony) == (2, 2)


def test_refreshed_metadata_verifies_against_the_root(ceremony):
    operations.refresh_online(ceremony.tenant, at=NOON + timedelta(days=6))

    root = queries.current_root(ceremony.tenant, Repository.IMAGE)
    for role in ("snapshot", "timestamp"):
        row = queries.role_metadata(ceremony.tenant, Repository.IMAGE, role, Profile.TUF)
        envelope = json.loads(bytes(row.body))
        (signature,) = envelope["signatures"]
        key = root.roles[role].keys[signature["keyid"]]
        payload = profiles.signed_bytes(envelope["signed"], Profile.TUF)
        assert primitives.verify(key, bytes.fromhex(signature["sig"]), payload)


def test_a_tenant_without_an_image_repository_has_nothing_to_refresh():
    assert not operations.refresh_online(make_tenant(), at=NOON)


def warned():
    return [(one.metadata.role, one.days) for one in ExpiryWarning.objects.order_by("pk")]


def test_nobody_is_warned_of_fresh_metadata(ceremony):
    assert operations.warn_of_expiry(at=NOON) == []


def test_each_threshold_is_warned_of_once(ceremony):
    ceremony.publish(b"content")
    end = NOON + timedelta(days=180)

    for days in (91, 90, 89, 31, 30, 29, 8, 7, 6, 1, 0):
        for _ in range(2):
            operations.warn_of_expiry(at=end - timedelta(days=days))

    assert warned() == [("supplier", 90), ("supplier", 30), ("supplier", 7), ("supplier", 0)]
    entries = Entry.objects.filter(action__startswith="metadata.")
    assert [(entry.action, entry.details["days"]) for entry in entries.order_by("number")] == [
        ("metadata.expires_soon", 90),
        ("metadata.expires_soon", 30),
        ("metadata.expires_soon", 7),
        ("metadata.expired", 0),
    ]


def test_of_several_thresholds_passed_at_once_the_nearest_is_told(ceremony):
    ceremony.publish(b"content")

    operations.warn_of_expiry(at=NOON + timedelta(days=175))

    assert warned() == [("supplier", 7)]


def test_metadata_signed_anew_is_watched_anew(ceremony):
    ceremony.publish(b"content")
    first = NOON + timedelta(days=170)
    operations.warn_of_expiry(at=first)
    bodies = ceremony.role("supplier", 2, at=first)
    operations.publish_targets(ceremony.tenant, "supplier", bodies, expected_version=1, by="alice", at=first)

    assert operations.warn_of_expiry(at=first) == []
    operations.warn_of_expiry(at=first + timedelta(days=100))

    assert warned() == [("supplier", 30), ("supplier", 90)]


def test_roots_of_both_repositories_and_targets_are_watched_and_online_metadata_is_not(ceremony):
    operations.warn_of_expiry(at=NOON + timedelta(days=340))

    assert sorted(warned()) == [("root", 30), ("root", 30), ("targets", 30)]
    assert RoleMetadata.objects.filter(role="timestamp").exists()
