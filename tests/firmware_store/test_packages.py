"""What the server lets in: nothing but bytes and metadata that agree, signed off the server."""

import hashlib
import os

import pytest

from firmware_store import blobs, operations, queries
from firmware_store.errors import (
    OtherTargetsChangedError,
    PackageContentDiffersError,
    PackageCounterError,
    PackageHardwareError,
    PackageHashError,
    PackageLengthError,
    PackageNameError,
    PackageNameTakenError,
    PackageNotFoundError,
    PackagePathError,
    PackageVersionError,
    UploadIncompleteError,
)
from firmware_store.models import Package, RoleMetadata
from firmware_store.states import PackageState, Profile, Repository
from firmware_store.trust import operations as trust
from firmware_store.trust import queries as trust_queries
from firmware_store.trust.errors import (
    MetadataLifetimeError,
    MetadataMalformedError,
    MetadataProfilesError,
    MetadataSignatureError,
    MetadataStaleError,
    MetadataVersionError,
    RoleNotDelegatedError,
)
from otaserver.audit.models import Entry
from otaserver.statemachine import InvalidTransitionError
from tests.factories import NOON, make_tenant
from tests.firmware_store.ceremony import YEAR, Ceremony, new_keys, resigned, target_entry

pytestmark = pytest.mark.django_db
CONTENT = b"firmware" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def ceremony():
    return Ceremony(make_tenant(), keys_per_role=2, threshold=2).establish()


@pytest.fixture
def package(ceremony):
    return ceremony.upload(CONTENT, hardware_ids=["gateway", "brake"], release_counter=3)


def metadata(ceremony, package, *, version=1, **changes):
    entries = ceremony.entries["supplier"] | {package.target_name: target_entry(package, CONTENT, **changes)}
    return ceremony.role("supplier", version, entries=entries)


def publish(package, bodies, expected_version=0):
    operations.publish_package(package, metadata=bodies, expected_version=expected_version, by="alice", at=NOON)


def stored():
    return list(RoleMetadata.objects.order_by("pk").values_list("pk", "sha256"))


def refused(error, package, bodies, expected_version=0):
    """It raises, the package says why, and no metadata has changed."""
    before = stored()
    with pytest.raises(error) as refusal:
        publish(package, bodies, expected_version)
    row = Package.objects.get(pk=package.pk)
    assert (row.state, row.refused_code, row.refused_reason) == (
        PackageState.REFUSED,
        error.code,
        refusal.value.message,
    )
    assert package.state == PackageState.REFUSED
    assert stored() == before
    assert Entry.objects.latest("number").details == {"code": error.code}


def not_now(error, package, bodies, expected_version=0):
    """It raises, and all is as before, so that it can be tried again."""
    before, entries = stored(), Entry.objects.count()
    with pytest.raises(error):
        publish(package, bodies, expected_version)
    assert Package.objects.get(pk=package.pk).state == package.state == PackageState.UPLOADING
    assert stored() == before
    assert Entry.objects.count() == entries


def test_a_package_is_published_with_its_role_s_metadata(ceremony, package):
    bodies = metadata(ceremony, package)

    publish(package, bodies)

    row = Package.objects.get()
    assert (row.state, row.published_at, row.sha512) == (
        PackageState.PUBLISHED,
        NOON,
        hashlib.sha512(CONTENT).hexdigest(),
    )
    for profile in Profile:
        role = trust_queries.role_metadata(ceremony.tenant, Repository.IMAGE, "supplier", profile)
        assert bytes(role.body) == bodies[profile]
    assert trust_queries.latest_version(ceremony.tenant, Repository.IMAGE, "timestamp") == 2
    assert queries.published_package(ceremony.tenant, "supplier/engine-1.0") == package
    assert Entry.objects.latest("number").action == "package.published"
    with blobs.open_blob(SHA256) as file:
        assert file.read() == CONTENT


def test_a_second_package_is_added_to_the_first(ceremony):
    ceremony.publish(CONTENT)
    ceremony.publish(b"other", version="2.0")

    content = trust_queries.current_targets(ceremony.tenant, "supplier")
    assert content.version == 2
    assert set(content.targets) == {"supplier/engine-1.0", "supplier/engine-2.0"}


def test_old_content_can_be_signed_again_under_a_new_version_and_is_stored_once(ceremony):
    ceremony.publish(CONTENT)
    ceremony.publish(b"newer, and bad", version="2.0", release_counter=1)

    again = ceremony.publish(CONTENT, version="1.0-again", release_counter=1)

    assert again.state == PackageState.PUBLISHED
    folder = os.path.dirname(blobs.default_storage.path(blobs.blob_path(SHA256)))
    assert os.listdir(folder) == [SHA256]


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        (PackageLengthError, {"length": len(CONTENT) + 1}),
        (PackageHashError, {"hashes": {"sha256": "a" * 64, "sha512": hashlib.sha512(CONTENT).hexdigest()}}),
        (PackageHashError, {"hashes": {"sha256": SHA256, "sha512": "a" * 128}}),
        (PackageNameError, {"custom": {"name": "brakes"}}),
        (PackageVersionError, {"custom": {"version": "1.1"}}),
        (PackageHardwareError, {"custom": {"hardwareIds": ["gateway"]}}),
        (PackageHardwareError, {"custom": {"hardwareIds": ["gateway", "brake"]}}),
        (PackageHardwareError, {"custom": {"hardwareIds": []}}),
        (PackageCounterError, {"custom": {"releaseCounter": 2}}),
        (MetadataMalformedError, {"custom": {"more": 1}}),
    ],
    ids=["length", "sha256", "sha512", "name", "version", "hardware", "unsorted", "none", "counter", "unknown field"],
)
def test_a_signed_entry_that_says_something_else_is_refused(ceremony, package, error, changes):
    refused(error, package, metadata(ceremony, package, **changes))


@pytest.mark.parametrize(
    "name", ["supplier/engine-1.1", "other/engine-1.0", "engine-1.0", "supplier/a/engine-1.0", "../x"]
)
def test_a_signed_entry_under_another_name_is_refused(ceremony, package, name):
    bodies = ceremony.role("supplier", 1, entries={name: target_entry(package, CONTENT)})

    refused(PackagePathError, package, bodies)


def test_metadata_that_does_not_add_the_package_is_refused(ceremony, package):
    refused(PackagePathError, package, ceremony.role("supplier", 1, entries={}))


def test_metadata_that_adds_more_than_the_package_is_refused(ceremony, package):
    entry = target_entry(package, CONTENT)
    bodies = ceremony.role("supplier", 1, entries={package.target_name: entry, "supplier/stowaway-1.0": entry})

    refused(OtherTargetsChangedError, package, bodies)


def test_metadata_that_changes_or_drops_another_package_is_refused(ceremony):
    first = ceremony.publish(CONTENT)
    entries = ceremony.entries["supplier"]
    changed = target_entry(first, CONTENT, custom={"releaseCounter": 9})

    for number, others in enumerate(({}, {first.target_name: changed})):
        package = ceremony.upload(b"next", version=f"2.{number}")
        new = {package.target_name: target_entry(package, b"next")}
        refused(OtherTargetsChangedError, package, ceremony.role("supplier", 2, entries=others | new), 1)

    assert ceremony.entries["supplier"] == entries


def test_an_unsigned_or_mis_signed_package_is_refused(ceremony):
    ours = ceremony.keys["supplier"]
    for number, signers in enumerate((ours[:1], new_keys(2), ceremony.keys["image targets"], [*ours, *new_keys()])):
        package = ceremony.upload(CONTENT, version=f"1.{number}")
        entries = {package.target_name: target_entry(package, CONTENT)}
        refused(MetadataSignatureError, package, ceremony.role("supplier", 1, entries=entries, signers=signers))


@pytest.mark.parametrize("profile", list(Profile))
def test_a_signature_that_is_wrong_in_one_profile_alone_is_enough_to_refuse(ceremony, package, profile):
    bodies = metadata(ceremony, package)
    signers = ceremony.keys["supplier"]
    wrong = resigned(bodies, [signers[0], *new_keys()], lambda signed: None, only=profile)

    refused(MetadataSignatureError, package, wrong)


def test_profiles_that_differ_are_refused(ceremony, package):
    bodies = metadata(ceremony, package)
    other = metadata(ceremony, package, custom={"releaseCounter": 4})

    refused(
        MetadataProfilesError, package, {Profile.TUF: bodies[Profile.TUF], Profile.AKTUALIZR: other[Profile.AKTUALIZR]}
    )


def test_a_version_that_does_not_follow_is_refused(ceremony, package):
    refused(MetadataVersionError, package, metadata(ceremony, package, version=2))


def test_a_life_longer_than_a_release_role_s_is_refused(ceremony, package):
    entries = {package.target_name: target_entry(package, CONTENT)}

    refused(MetadataLifetimeError, package, ceremony.role("supplier", 1, entries=entries, life=2 * YEAR))


def test_other_bytes_than_declared_are_refused(ceremony):
    package = ceremony.upload(CONTENT, sha256="a" * 64)

    refused(PackageContentDiffersError, package, metadata(ceremony, package))


def test_a_truncated_package_is_not_published_and_can_go_on(ceremony):
    package = ceremony.upload(CONTENT[:-1], length=len(CONTENT), sha256=SHA256)

    not_now(UploadIncompleteError, package, metadata(ceremony, package))


def test_a_role_that_is_not_delegated_publishes_nothing_and_may_later(ceremony):
    package = ceremony.upload(CONTENT, role="newcomer")
    entries = {package.target_name: target_entry(package, CONTENT)}
    bodies = ceremony.role("supplier", 1, entries=entries)

    not_now(RoleNotDelegatedError, package, bodies)


def test_of_two_publishers_the_second_is_stale_and_signs_again(ceremony):
    first, second = ceremony.upload(CONTENT), ceremony.upload(b"other", version="2.0")
    entries = {second.target_name: target_entry(second, b"other")}
    seen_by_second = ceremony.role("supplier", 1, entries=entries)
    publish(first, metadata(ceremony, first))

    not_now(MetadataStaleError, second, seen_by_second)

    entries[first.target_name] = target_entry(first, CONTENT)
    publish(second, ceremony.role("supplier", 2, entries=entries), 1)
    assert second.state == PackageState.PUBLISHED


def test_a_published_package_is_not_published_again(ceremony, package):
    bodies = metadata(ceremony, package)
    publish(package, bodies)
    before = stored()

    with pytest.raises(InvalidTransitionError):
        publish(package, bodies, 1)

    assert stored() == before
    assert Package.objects.get().state == PackageState.PUBLISHED


def test_a_published_name_stands_for_its_content_for_ever(ceremony):
    package = ceremony.publish(CONTENT)

    for content in (CONTENT, b"other"):
        with pytest.raises(PackageNameTakenError):
            ceremony.upload(content)

    withdraw(ceremony, package)
    with pytest.raises(PackageNameTakenError):
        ceremony.upload(b"other")


def withdraw(ceremony, package, *, entries=None, expected_version=1):
    remaining = {name: entry for name, entry in ceremony.entries["supplier"].items() if name != package.target_name}
    bodies = ceremony.role("supplier", expected_version + 1, entries=remaining if entries is None else entries)
    operations.withdraw_package(package, metadata=bodies, expected_version=expected_version, by="alice", at=NOON)
    ceremony.entries["supplier"] = remaining


def test_a_withdrawn_package_is_no_longer_listed_and_its_file_stays(ceremony):
    package = ceremony.publish(CONTENT)
    ceremony.publish(b"other", version="2.0")

    withdraw(ceremony, package, expected_version=2)

    assert Package.objects.get(pk=package.pk).state == PackageState.WITHDRAWN
    assert set(trust_queries.current_targets(ceremony.tenant, "supplier").targets) == {"supplier/engine-2.0"}
    assert blobs.has_blob(SHA256, length=len(CONTENT))
    assert Entry.objects.latest("number").action == "package.withdrawn"
    with pytest.raises(PackageNotFoundError):
        queries.published_package(ceremony.tenant, package.target_name)


def test_a_withdrawal_removes_this_package_and_no_other(ceremony):
    package, other = ceremony.publish(CONTENT), ceremony.publish(b"other", version="2.0")
    before = stored()

    with pytest.raises(PackagePathError):
        withdraw(ceremony, package, entries=ceremony.entries["supplier"], expected_version=2)
    with pytest.raises(OtherTargetsChangedError):
        withdraw(ceremony, package, entries={}, expected_version=2)
    with pytest.raises(MetadataStaleError):
        withdraw(ceremony, package, expected_version=1)

    assert stored() == before
    assert package.state == PackageState.PUBLISHED
    assert set(Package.objects.values_list("state", flat=True)) == {PackageState.PUBLISHED}
    assert other.state == PackageState.PUBLISHED


def test_a_package_is_withdrawn_once(ceremony):
    package = ceremony.publish(CONTENT)
    withdraw(ceremony, package)
    before = stored()

    with pytest.raises(InvalidTransitionError):
        withdraw(ceremony, package, expected_version=2)

    assert stored() == before


def test_another_tenant_s_package_is_not_found(ceremony):
    ceremony.publish(CONTENT)

    with pytest.raises(PackageNotFoundError):
        queries.published_package(make_tenant(), "supplier/engine-1.0")


def test_a_role_signed_anew_serves_the_same_package(ceremony):
    ceremony.publish(CONTENT)

    trust.publish_targets(
        ceremony.tenant, "supplier", ceremony.role("supplier", 2), expected_version=1, by="alice", at=NOON
    )
    ceremony.publish(b"other", version="2.0")

    assert trust_queries.latest_version(ceremony.tenant, Repository.IMAGE, "supplier") == 3
