import json
from datetime import timedelta

import pytest

from firmware_store.models import RoleMetadata
from firmware_store.states import Profile, Repository
from firmware_store.trust import operations, queries
from firmware_store.trust.errors import (
    DelegationInUseError,
    DelegationRefusedError,
    KeySharedError,
    MetadataLifetimeError,
    MetadataMalformedError,
    MetadataNotFoundError,
    MetadataProfilesError,
    MetadataSignatureError,
    MetadataStaleError,
    MetadataVersionError,
    ResignedRoleMissingError,
    RoleNotDelegatedError,
    TargetsChangedError,
)
from otaserver.audit.models import Entry
from tests.factories import NOON, make_tenant
from tests.firmware_store.ceremony import Ceremony, new_keys, resigned

pytestmark = pytest.mark.django_db


@pytest.fixture
def ceremony():
    return Ceremony(make_tenant(), keys_per_role=2, threshold=2).establish()


def publish(ceremony, role, bodies, expected_version, **more):
    operations.publish_targets(
        ceremony.tenant, role, bodies, expected_version=expected_version, by="alice", at=NOON, **more
    )


def state():
    return list(RoleMetadata.objects.order_by("pk").values_list("pk", "sha256")), Entry.objects.count()


def refused(error, ceremony, role, bodies, expected_version, **more):
    before = state()
    with pytest.raises(error):
        publish(ceremony, role, bodies, expected_version, **more)
    assert state() == before


def body(ceremony, role, profile=Profile.TUF):
    return json.loads(bytes(queries.role_metadata(ceremony.tenant, Repository.IMAGE, role, profile).body))["signed"]


def test_the_online_metadata_follows_in_the_same_step_in_both_profiles(ceremony):
    publish(ceremony, "supplier", ceremony.role("supplier", 1), 0)

    for profile in Profile:
        snapshot = queries.role_metadata(ceremony.tenant, Repository.IMAGE, "snapshot", profile)
        assert body(ceremony, "snapshot", profile)["meta"] == {
            "targets.json": {"version": 1},
            "supplier.json": {"version": 1},
        }
        assert body(ceremony, "timestamp", profile)["meta"] == {
            "snapshot.json": {
                "version": 2,
                "length": len(snapshot.body),
                "hashes": {"sha256": snapshot.sha256},
            }
        }


def test_a_role_signed_anew_keeps_its_targets(ceremony):
    ceremony.publish(b"content")

    publish(ceremony, "supplier", ceremony.role("supplier", 2), 1)

    assert set(queries.current_targets(ceremony.tenant, "supplier").targets) == {"supplier/engine-1.0"}
    assert queries.latest_version(ceremony.tenant, Repository.IMAGE, "supplier") == 2


def test_a_role_signed_anew_may_not_change_its_targets(ceremony):
    ceremony.publish(b"content")

    refused(TargetsChangedError, ceremony, "supplier", ceremony.role("supplier", 2, entries={}), 1)


@pytest.mark.parametrize("role", ["targets", "supplier"])
def test_of_two_publishers_the_second_is_stale(ceremony, role):
    version = ceremony.next_version(role)
    bodies = ceremony.targets(version) if role == "targets" else ceremony.role(role, version)
    publish(ceremony, role, bodies, version - 1)

    refused(MetadataStaleError, ceremony, role, bodies, version - 1)


def test_a_version_that_does_not_follow_is_refused(ceremony):
    for version in (1, 3, 9):
        refused(MetadataVersionError, ceremony, "targets", ceremony.targets(version), 1)


def test_too_few_signatures_are_refused(ceremony):
    for role, bodies in (
        ("targets", ceremony.targets(2, signers=ceremony.keys["image targets"][:1])),
        ("targets", ceremony.targets(2, signers=ceremony.keys["image root"])),
        ("supplier", ceremony.role("supplier", 1, signers=ceremony.keys["supplier"][:1])),
        ("supplier", ceremony.role("supplier", 1, signers=ceremony.keys["image targets"])),
    ):
        refused(MetadataSignatureError, ceremony, role, bodies, 1 if role == "targets" else 0)


def test_a_life_too_short_or_too_long_is_refused(ceremony):
    for life in (timedelta(hours=1), timedelta(days=367)):
        refused(MetadataLifetimeError, ceremony, "supplier", ceremony.role("supplier", 1, life=life), 0)
    refused(MetadataLifetimeError, ceremony, "targets", ceremony.targets(2, life=timedelta(days=732)), 1)


def test_a_missing_profile_is_refused(ceremony):
    bodies = ceremony.targets(2)

    for profile in Profile:
        refused(MetadataProfilesError, ceremony, "targets", {profile: bodies[profile]}, 1)


def test_garbage_is_refused(ceremony):
    garbage = dict.fromkeys(Profile, b"{")

    refused(MetadataMalformedError, ceremony, "targets", garbage, 1)


@pytest.mark.parametrize("role", ["other", "root", "snapshot", "timestamp", "", "../x"])
def test_a_role_that_is_not_delegated_publishes_nothing(ceremony, role):
    refused(RoleNotDelegatedError, ceremony, role, ceremony.role("supplier", 1), 0)


def test_a_release_role_delegates_no_further(ceremony):
    delegating = resigned(
        ceremony.role("supplier", 1),
        ceremony.keys["supplier"],
        lambda signed: signed.update(delegations={"keys": {}, "roles": []}),
    )

    refused(DelegationRefusedError, ceremony, "supplier", delegating, 0)


def test_the_top_level_lists_delegations_and_no_packages(ceremony):
    ceremony.publish(b"content")
    entries = ceremony.entries["supplier"]
    listing = resigned(
        ceremony.targets(2), ceremony.keys["image targets"], lambda signed: signed.update(targets=entries)
    )
    bare = resigned(ceremony.targets(2), ceremony.keys["image targets"], lambda signed: signed.pop("delegations"))

    refused(DelegationRefusedError, ceremony, "targets", listing, 1)
    refused(DelegationRefusedError, ceremony, "targets", bare, 1)


def test_a_release_role_shares_no_key_with_a_top_level_role(ceremony):
    ceremony.roles.append("other")
    ceremony.keys["other"] = ceremony.keys["image root"]

    refused(KeySharedError, ceremony, "targets", ceremony.targets(2), 1)


def test_another_role_can_be_delegated(ceremony):
    ceremony.roles.append("other")
    ceremony.keys["other"] = new_keys(2)

    publish(ceremony, "targets", ceremony.targets(2), 1)
    publish(ceremony, "other", ceremony.role("other", 1, entries={}), 0)

    assert body(ceremony, "snapshot")["meta"] == {"targets.json": {"version": 2}, "other.json": {"version": 1}}


def test_a_role_without_packages_can_be_dropped_and_stays_in_the_snapshot(ceremony):
    publish(ceremony, "supplier", ceremony.role("supplier", 1), 0)
    ceremony.roles = []

    publish(ceremony, "targets", ceremony.targets(2), 1)

    # Uptane 5.2.4: a removed delegation must stay listed.
    assert body(ceremony, "snapshot")["meta"]["supplier.json"] == {"version": 1}
    refused(RoleNotDelegatedError, ceremony, "supplier", ceremony.role("supplier", 2), 1)


def test_a_role_with_published_packages_cannot_be_dropped(ceremony):
    ceremony.publish(b"content")
    ceremony.roles = []

    refused(DelegationInUseError, ceremony, "targets", ceremony.targets(2), 1)


def test_new_keys_for_a_role_need_its_metadata_signed_by_them(ceremony):
    ceremony.publish(b"content")
    ceremony.keys["supplier"] = new_keys(2)
    top = ceremony.targets(2)

    refused(ResignedRoleMissingError, ceremony, "targets", top, 1)
    refused(
        TargetsChangedError,
        ceremony,
        "targets",
        top,
        1,
        resigned={"supplier": ceremony.role("supplier", 2, entries={})},
    )
    publish(ceremony, "targets", top, 1, resigned={"supplier": ceremony.role("supplier", 2)})

    assert body(ceremony, "snapshot")["meta"] == {"targets.json": {"version": 2}, "supplier.json": {"version": 2}}


def test_tenants_do_not_share_anything(ceremony):
    other = Ceremony(make_tenant(), keys_per_role=2, threshold=2).establish()

    refused(MetadataSignatureError, other, "supplier", ceremony.role("supplier", 1), 0)
    with pytest.raises(MetadataNotFoundError):
        queries.role_metadata(other.tenant, Repository.IMAGE, "supplier", Profile.TUF)


def test_offline_metadata_is_trusted_until_the_first_of_it_ends(ceremony):
    assert queries.trusted_until(ceremony.tenant, ["supplier"]) is None

    ceremony.publish(b"content")

    assert queries.trusted_until(ceremony.tenant, ["supplier"]) == NOON + timedelta(days=180)
    assert queries.trusted_until(ceremony.tenant, []) == NOON + timedelta(days=365)
    assert queries.trusted_until(ceremony.tenant, ["other"]) is None
