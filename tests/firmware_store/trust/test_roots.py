from datetime import timedelta

import pytest
from securesystemslib.signer import CryptoSigner

from firmware_store.models import OnlineKey, RoleMetadata
from firmware_store.states import Profile, Repository
from firmware_store.trust import operations, queries, signing
from firmware_store.trust.errors import (
    KeyRefusedError,
    MetadataLifetimeError,
    MetadataMalformedError,
    MetadataProfilesError,
    MetadataSignatureError,
    MetadataStaleError,
    MetadataVersionError,
    OnlineKeysError,
    ResignedRoleMissingError,
    RootMissingError,
)
from otaserver.audit.models import Entry
from tests.factories import NOON, make_tenant
from tests.firmware_store.ceremony import Ceremony, new_keys, resigned

pytestmark = pytest.mark.django_db


@pytest.fixture
def ceremony():
    """A tenant with online keys and without any root."""
    found = Ceremony(make_tenant(), keys_per_role=2, threshold=2)
    operations.create_online_keys(found.tenant, at=NOON)
    return found


@pytest.fixture
def established(ceremony):
    return ceremony.establish()


def publish(ceremony, bodies, repository="image", **more):
    operations.publish_root(ceremony.tenant, repository, bodies, by="alice", at=NOON, **more)


def stored():
    return [(row.repository, row.version, row.role) for row in RoleMetadata.objects.order_by("pk")]


def refused(error, ceremony, bodies, repository="image", **more):
    before, entries = stored(), Entry.objects.count()
    with pytest.raises(error):
        publish(ceremony, bodies, repository, **more)
    assert stored() == before
    assert Entry.objects.count() == entries


@pytest.mark.parametrize("repository", Repository.values)
def test_the_first_root_is_version_1_and_stored_verbatim_in_both_profiles(ceremony, repository):
    bodies = ceremony.root(repository)

    publish(ceremony, bodies, repository)

    rows = RoleMetadata.objects.filter(tenant=ceremony.tenant, repository=repository, role="root", version=1)
    assert {row.profile: bytes(row.body) for row in rows} == bodies
    assert Entry.objects.get().action == "root.published"


def test_publishing_the_current_root_again_changes_nothing(ceremony):
    bodies = ceremony.root("image")
    publish(ceremony, bodies)

    publish(ceremony, bodies)

    assert len(stored()) == 2
    assert Entry.objects.count() == 1


def test_another_root_of_a_version_that_is_published_is_stale(ceremony):
    publish(ceremony, ceremony.root("image"))

    refused(MetadataStaleError, ceremony, ceremony.root("image", life=timedelta(days=100)))


@pytest.mark.parametrize("version", [2, 3, 2**31 - 1])
def test_the_first_root_has_no_other_version_than_1(ceremony, version):
    refused(MetadataVersionError, ceremony, ceremony.root("image", version))


def test_a_version_may_not_be_skipped(ceremony):
    publish(ceremony, ceremony.root("image"))

    refused(MetadataVersionError, ceremony, ceremony.root("image", 3))


def test_a_root_without_the_threshold_of_its_own_keys_is_refused(ceremony):
    refused(MetadataSignatureError, ceremony, ceremony.root("image", signers=ceremony.keys["image root"][:1]))


def test_a_root_signed_by_the_other_repository_s_keys_is_refused(ceremony):
    refused(MetadataSignatureError, ceremony, ceremony.root("image", signers=ceremony.keys["director root"]))


@pytest.mark.parametrize("profile", list(Profile))
def test_a_root_mis_signed_in_one_profile_alone_is_refused(ceremony, profile):
    bodies = ceremony.root("image")
    other = ceremony.root("image", signers=ceremony.keys["image root"][:1])

    refused(MetadataSignatureError, ceremony, bodies | {profile: other[profile]})


def test_the_next_root_is_signed_by_the_old_and_the_new_keys(established):
    old, new = established.keys["image root"], new_keys(2)
    established.keys["image root"] = new

    refused(MetadataSignatureError, established, established.root("image", 2, signers=new))
    refused(MetadataSignatureError, established, established.root("image", 2, signers=old))
    refused(MetadataSignatureError, established, established.root("image", 2, signers=[*old[:1], *new]))
    publish(established, established.root("image", 2, signers=[*old, *new]))

    assert set(queries.current_root(established.tenant, "image").roles["root"].keys) == {
        key.public_key.keyid for key in new
    }
    # From now on the old ones count for nothing.
    refused(MetadataSignatureError, established, established.root("image", 3, signers=old))


def test_old_versions_are_kept(established):
    publish(established, established.root("image", 2))

    assert queries.role_metadata(established.tenant, "image", "root", Profile.TUF, 1).version == 1
    assert queries.role_metadata(established.tenant, "image", "root", Profile.TUF).version == 2


@pytest.mark.parametrize("life", [timedelta(0), timedelta(hours=23), timedelta(days=732), timedelta(days=-1)])
def test_a_root_that_ends_too_soon_or_too_late_is_refused(ceremony, life):
    refused(MetadataLifetimeError, ceremony, ceremony.root("image", life=life))


@pytest.mark.parametrize(
    ("repository", "role"),
    [(repository, role) for repository, roles in queries.ONLINE_ROLES.items() for role in roles],
)
def test_online_roles_name_exactly_the_server_s_own_keys(ceremony, repository, role):
    stranger = new_keys()[0].public_key.to_dict()
    roles = ceremony.root_roles(repository)
    ours = roles[role][0][0]

    for keys in ([stranger], [ours, stranger]):
        changed = roles | {role: (keys, 1)}
        refused(OnlineKeysError, ceremony, ceremony.root(repository, roles=changed), repository)


def test_a_root_before_the_online_keys_is_refused():
    ceremony = Ceremony(make_tenant())
    strangers = {role: ([new_keys()[0].public_key.to_dict()], 1) for role in ("targets", "snapshot", "timestamp")}
    roles = strangers | {"root": (ceremony.public("director root"), 1)}

    refused(OnlineKeysError, ceremony, ceremony.root("director", roles=roles), "director")


def test_both_profiles_have_to_be_there(established):
    bodies = established.root("image", 2)

    for profile in Profile:
        refused(MetadataProfilesError, established, {profile: bodies[profile]})


def test_the_profile_tuf_cannot_be_left_out_of_a_first_root(ceremony):
    bodies = ceremony.root("image")

    refused(MetadataProfilesError, ceremony, {Profile.AKTUALIZR: bodies[Profile.AKTUALIZR]})
    refused(MetadataProfilesError, ceremony, {})


def test_profiles_that_differ_are_refused(ceremony):
    bodies = ceremony.root("image")
    changed = resigned(
        bodies,
        ceremony.keys["image root"],
        lambda signed: signed.update(expires="2027-01-01T00:00:00Z"),
        only=Profile.AKTUALIZR,
    )

    refused(MetadataProfilesError, ceremony, changed)


def test_a_first_root_without_the_aktualizr_profile_turns_it_off_for_its_repository(ceremony):
    ceremony.profiles = (Profile.TUF,)
    ceremony.keys["image root"] = [CryptoSigner.generate_ecdsa(), CryptoSigner.generate_ecdsa()]

    publish(ceremony, ceremony.root("image"))
    operations.publish_targets(ceremony.tenant, "targets", ceremony.targets(), expected_version=0, by="alice", at=NOON)

    assert queries.profiles_of(ceremony.tenant, "image") == (Profile.TUF,)
    assert set(RoleMetadata.objects.values_list("profile", flat=True)) == {Profile.TUF}
    ceremony.profiles = (Profile.TUF, Profile.AKTUALIZR)
    ceremony.keys["image root"] = new_keys(2)
    refused(MetadataProfilesError, ceremony, ceremony.root("image", 2))


def test_an_ecdsa_root_key_is_refused_where_the_aktualizr_profile_is_on(ceremony):
    ceremony.keys["image root"] = [CryptoSigner.generate_ecdsa(), CryptoSigner.generate_ecdsa()]
    ceremony.profiles = (Profile.TUF,)
    bodies = ceremony.root("image")

    refused(KeyRefusedError, ceremony, bodies | {Profile.AKTUALIZR: b"{}"})


def test_publishing_an_image_root_signs_its_online_metadata_anew(established):
    before = queries.latest_version(established.tenant, "image", "timestamp")

    publish(established, established.root("image", 2))

    assert queries.latest_version(established.tenant, "image", "snapshot") == before + 1
    assert queries.latest_version(established.tenant, "image", "timestamp") == before + 1


def test_a_director_root_touches_nothing_of_the_image_repository(established):
    before = stored()

    publish(established, established.root("director", 2), "director")

    assert stored() == [*before, ("director", 2, "root"), ("director", 2, "root")]


def test_new_targets_keys_need_targets_signed_by_them(established):
    established.keys["image targets"] = new_keys(2)
    root = established.root("image", 2)

    refused(ResignedRoleMissingError, established, root)
    publish(established, root, targets=established.targets(2))

    assert queries.latest_version(established.tenant, "image", "targets") == 2


def test_targets_that_come_with_a_root_are_checked_against_it(established):
    old = established.keys["image targets"]
    established.keys["image targets"] = new_keys(2)

    refused(
        MetadataSignatureError,
        established,
        established.root("image", 2),
        targets=established.targets(2, signers=old),
    )


def test_a_waiting_online_key_becomes_active_with_the_root_that_lists_it(established):
    before = signing.online_signer(established.tenant, "image", "timestamp")
    old_roles = established.root_roles("image")
    operations.create_online_keys(established.tenant, at=NOON, rotate=True)

    refused(OnlineKeysError, established, established.root("image", 2, roles=old_roles))
    assert signing.online_signer(established.tenant, "image", "timestamp") == before
    publish(established, established.root("image", 2))

    after = signing.online_signer(established.tenant, "image", "timestamp")
    assert after.keyid != before.keyid
    assert OnlineKey.objects.get(keyid=before.keyid).retired_at == NOON
    assert OnlineKey.objects.get(keyid=after.keyid).activated_at == NOON
    row = queries.role_metadata(established.tenant, "image", "timestamp", Profile.TUF)
    assert f'"keyid":"{after.keyid}"'.encode() in bytes(row.body)
    # The Director's wait for its own root.
    assert OnlineKey.objects.filter(repository="director", activated_at=None).count() == 3


def test_what_needs_a_root_says_so_while_there_is_none(ceremony):
    with pytest.raises(RootMissingError):
        queries.current_root(ceremony.tenant, "image")
    with pytest.raises(RootMissingError):
        operations.publish_targets(
            ceremony.tenant, "targets", ceremony.targets(), expected_version=0, by="alice", at=NOON
        )


def test_a_root_larger_than_aktualizr_reads_is_refused(ceremony):
    roles = ceremony.root_roles("image")
    roles["targets"] = ([key.public_key.to_dict() for key in new_keys(400)], 2)
    bodies = ceremony.root("image", roles=roles)

    assert len(bodies[Profile.TUF]) > 64 * 1024
    refused(MetadataMalformedError, ceremony, bodies)


def test_another_tenant_s_root_is_its_own(established):
    with pytest.raises(RootMissingError):
        queries.current_root(make_tenant(), "image")
