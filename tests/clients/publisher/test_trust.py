import json
from datetime import timedelta

import httpx
import pytest
from securesystemslib.signer import CryptoSigner

from clients.publisher import documents
from clients.publisher.documents import AKTUALIZR, TUF
from clients.publisher.errors import InputError, ServerRefusalError, TrustError, UnreachableError
from clients.publisher.keystore import KeyStore, StoredKey
from firmware_store.models import RoleMetadata
from firmware_store.trust import operations as trust
from firmware_store.trust import queries
from tests.factories import NOON

pytestmark = pytest.mark.any_database

DAY = timedelta(days=1)


def versions(tenant):
    rows = RoleMetadata.objects.filter(tenant=tenant, profile="tuf-1.0").exclude(role__in=["snapshot", "timestamp"])
    return sorted(rows.values_list("repository", "role", "version"))


def test_init_uploads_both_roots_the_delegations_and_an_empty_file_for_each_release_role(bench):
    done = bench.publisher().trust.init()

    assert [(each.repository, each.role, each.version, each.is_new) for each in done] == [
        ("image", "root", 1, True),
        ("director", "root", 1, True),
        ("image", "targets", 1, True),
        ("image", "supplier", 1, True),
    ]
    assert versions(bench.tenant) == [
        ("director", "root", 1),
        ("image", "root", 1),
        ("image", "supplier", 1),
        ("image", "targets", 1),
    ]


def test_init_done_again_changes_nothing(ready):
    before = versions(ready.tenant)

    done = ready.publisher().trust.init()

    assert not any(each.is_new for each in done)
    assert versions(ready.tenant) == before


@pytest.mark.parametrize("uploads_before_the_cut", [0, 1, 2, 3])
def test_init_cut_off_anywhere_goes_on_where_it_stopped(bench, uploads_before_the_cut):
    uploads = []

    def cut(request: httpx.Request) -> None:
        if request.method == "PUT":
            if len(uploads) == uploads_before_the_cut:
                raise httpx.ConnectError("gone")
            uploads.append(request.url.path)

    bench.wire.before = cut
    with pytest.raises(UnreachableError):
        bench.publisher().trust.init()
    bench.wire.before = None

    done = bench.publisher().trust.init()

    assert [each.is_new for each in done] == [index >= uploads_before_the_cut for index in range(4)]
    assert len(versions(bench.tenant)) == 4


def test_init_without_online_keys_on_the_server_uploads_nothing(bench):
    bench.tenant.online_keys.all().delete()

    with pytest.raises(TrustError, match="no online key for image snapshot"):
        bench.publisher().trust.init()

    assert versions(bench.tenant) == []


def test_init_with_the_tuf_profile_alone_takes_ecdsa_keys(bench, tmp_path):
    keys = KeyStore.create(tmp_path / "tuf-keys", tenant="acme", roles=["supplier"], profiles=[TUF])
    signer = CryptoSigner.generate_ecdsa()
    (tmp_path / "tuf-keys" / "ec.pem").write_bytes(signer.private_bytes)
    keys.set_role("image/supplier", [StoredKey(signer.public_key, "file2:ec.pem")], threshold=1)

    bench.publisher(keys=keys).trust.init()

    assert set(RoleMetadata.objects.values_list("profile", flat=True)) == {TUF}


def test_ecdsa_keys_are_refused_while_aktualizr_is_served(bench):
    signer = CryptoSigner.generate_ecdsa()
    (bench.keys.folder / "ec.pem").write_bytes(signer.private_bytes)
    bench.keys.set_role("image/supplier", [StoredKey(signer.public_key, "file2:ec.pem")], threshold=1)

    with pytest.raises(InputError, match="aktualizr cannot read ecdsa keys"):
        bench.publisher().trust.init()


def test_rsa_keys_sign_for_both_profiles(bench):
    signer = CryptoSigner.generate_rsa(size=2048)
    (bench.keys.folder / "rsa.pem").write_bytes(signer.private_bytes)
    bench.keys.set_role("image/supplier", [StoredKey(signer.public_key, "file2:rsa.pem")], threshold=1)

    done = bench.publisher().trust.init()

    assert done[-1].role == "supplier"
    assert done[-1].is_new


def test_a_root_key_that_is_elsewhere_does_not_hinder_while_the_threshold_is_at_hand(bench):
    first, second, third = bench.keys.role("image/root").stored
    (bench.keys.folder / first.uri.removeprefix("file2:")).unlink()

    bench.publisher().trust.init()

    row = RoleMetadata.objects.get(repository="image", role="root", profile="tuf-1.0")
    signatures = json.loads(bytes(row.body))["signatures"]
    assert {each["keyid"] for each in signatures} == {second.public.keyid, third.public.keyid}


def test_too_few_root_keys_at_hand_upload_nothing(bench):
    for stored in bench.keys.role("image/root").stored[:2]:
        (bench.keys.folder / stored.uri.removeprefix("file2:")).unlink()

    with pytest.raises(InputError, match="2 signature\\(s\\) are needed and 1 can be made"):
        bench.publisher().trust.init()

    assert versions(bench.tenant) == []


def test_rotation_takes_in_the_servers_new_online_keys(ready):
    trust.create_online_keys(ready.tenant, rotate=True, at=NOON)

    done = [ready.publisher().trust.rotate_root(repository) for repository in ("image", "director")]

    assert [each.version for each in done] == [2, 2]
    assert ready.tenant.online_keys.filter(retired_at=None, activated_at__isnull=False).count() == 5
    assert ready.tenant.online_keys.exclude(retired_at=None).count() == 5


def test_rotation_to_new_root_keys_is_signed_by_the_old_and_the_new(ready):
    old = {each.public.keyid for each in ready.keys.role("director/root").stored}

    done = ready.publisher().trust.rotate_root("director", new_keys=True, count=2, threshold=2)

    new = {each.public.keyid for each in ready.keys.role("director/root").stored}
    row = RoleMetadata.objects.get(repository="director", role="root", profile="tuf-1.0", version=2)
    signers = {each["keyid"] for each in json.loads(bytes(row.body))["signatures"]}
    assert done.version == 2
    assert not old & new
    assert len(signers & old) == 2
    assert signers & new == new


def test_after_a_rotation_the_next_one_is_signed_by_the_new_keys(ready):
    ready.publisher().trust.rotate_root("image", new_keys=True)

    done = ready.publisher().trust.rotate_root("image", new_keys=True)

    assert done.version == 3


def test_a_rotation_cut_off_before_the_upload_is_done_with_the_same_new_keys(ready):
    def cut(request: httpx.Request) -> None:
        if request.method == "PUT":
            raise httpx.ConnectError("gone")

    ready.wire.before = cut
    with pytest.raises(UnreachableError):
        ready.publisher().trust.rotate_root("image", new_keys=True)
    staged = ready.keys.staged_root("image")
    ready.wire.before = None

    done = ready.publisher().trust.rotate_root("image", new_keys=True)

    assert done.version == 2
    assert ready.keys.role("image/root") == staged
    assert ready.keys.staged_root("image") is None


def test_a_rotation_whose_answer_was_lost_is_noted_and_not_done_twice(ready):
    def lose(request: httpx.Request, response: httpx.Response) -> None:
        if request.method == "PUT":
            raise httpx.ReadError("gone")

    ready.wire.after = lose
    with pytest.raises(UnreachableError):
        ready.publisher().trust.rotate_root("image", new_keys=True)
    ready.wire.after = None

    done = ready.publisher().trust.rotate_root("image", new_keys=True)

    assert (done.version, done.is_new) == (2, False)
    assert ready.keys.staged_root("image") is None
    assert ready.publisher().trust.rotate_root("image").version == 3


def test_refresh_leaves_alone_what_lives_long_enough(ready):
    done = ready.publisher().trust.refresh(within=30 * DAY)

    assert [(each.role, each.is_new) for each in done] == [("targets", False), ("supplier", False)]


def test_refresh_signs_anew_what_nears_its_end(ready):
    ready.now = NOON + 160 * DAY
    # In 160 days the server has renewed its own snapshot and timestamp many times.
    done = ready.publisher().trust.refresh(within=30 * DAY)

    assert [(each.role, each.version, each.is_new) for each in done] == [("targets", 1, False), ("supplier", 2, True)]
    assert done[1].expires_at == ready.now + 180 * DAY


def test_refresh_of_the_top_level_keeps_delegations_whose_keys_are_elsewhere(ready, tmp_path):
    supplier = KeyStore.create(tmp_path / "brakes-keys", tenant="acme", roles=["brakes"], root_keys=0)
    ready.publisher().trust.add_role("brakes", keys=supplier.role("image/brakes").role_keys)

    ready.publisher().trust.refresh(within=400 * DAY, roles=["targets"])

    top = ready.publisher().trust.current("targets")
    assert top.version == 3
    assert [each["name"] for each in top.signed["delegations"]["roles"]] == ["supplier", "brakes"]


def test_a_supplier_signs_the_first_file_of_its_role_with_keys_the_tenant_never_sees(ready, tmp_path):
    supplier = KeyStore.create(tmp_path / "brakes-keys", tenant="acme", roles=["brakes"], root_keys=0)
    ready.publisher().trust.add_role("brakes", keys=supplier.role("image/brakes").role_keys)

    done = ready.publisher(keys=supplier).trust.refresh(within=30 * DAY, roles=["brakes"])

    assert [(each.role, each.version, each.is_new) for each in done] == [("brakes", 1, True)]


def test_a_supplier_refreshes_what_it_has_keys_for_without_naming_it(ready, tmp_path):
    supplier = KeyStore.create(tmp_path / "brakes-keys", tenant="acme", roles=["brakes"], root_keys=0)
    ready.publisher().trust.add_role("brakes", keys=supplier.role("image/brakes").role_keys)

    done = ready.publisher(keys=supplier).trust.refresh(within=30 * DAY)

    assert [(each.role, each.version, each.is_new) for each in done] == [("brakes", 1, True)]


def test_add_role_makes_keys_delegates_and_uploads_an_empty_file(ready):
    done = ready.publisher().trust.add_role("brakes")

    assert [(each.role, each.version, each.is_new) for each in done] == [("targets", 2, True), ("brakes", 1, True)]
    assert ready.keys.release_roles() == ("brakes", "supplier")


def test_add_role_done_again_changes_nothing(ready):
    ready.publisher().trust.add_role("brakes")

    done = ready.publisher().trust.add_role("brakes")

    assert not any(each.is_new for each in done)


@pytest.mark.parametrize("name", ["root", "targets", "Supplier", "a/b", "", "ä", "a" * 41])
def test_a_role_name_that_cannot_be_is_refused_before_anything_is_sent(ready, name):
    sent = len(ready.wire.seen)

    with pytest.raises(InputError, match="release role"):
        ready.publisher().trust.add_role(name)

    assert len(ready.wire.seen) == sent


def test_metadata_that_the_keys_at_hand_have_not_signed_is_not_built_upon(ready, tmp_path):
    stranger = KeyStore.create(tmp_path / "other-keys", tenant="acme", roles=["supplier"])

    with pytest.raises(TrustError) as caught:
        ready.publisher(keys=stranger).trust.current("supplier")

    assert caught.value.code == "trust.signature"
    assert stranger.seen_version("supplier") == 0


def test_metadata_that_the_server_has_tampered_with_is_found_out(ready):
    for row in RoleMetadata.objects.filter(role="supplier"):
        row.body = bytes(row.body).replace(b'"targets":{}', b'"targets":{"supplier/x-1":{}}')
        row.save()

    with pytest.raises(TrustError) as caught:
        ready.publisher().trust.current("supplier")

    assert caught.value.code == "trust.signature"


def test_a_server_that_shows_an_older_version_than_before_is_found_out(ready):
    ready.publisher().trust.refresh(within=200 * DAY, roles=["supplier"])
    RoleMetadata.objects.filter(role="supplier", version=2).delete()

    with pytest.raises(TrustError) as caught:
        ready.publisher().trust.current("supplier")

    assert caught.value.code == "trust.rollback"


def test_a_server_that_has_lost_a_role_is_found_out(ready):
    RoleMetadata.objects.filter(role="supplier").delete()

    with pytest.raises(TrustError) as caught:
        ready.publisher().trust.current("supplier")

    assert caught.value.code == "trust.rollback"


def test_the_two_profiles_must_say_the_same(ready):
    RoleMetadata.objects.filter(role="supplier", profile=AKTUALIZR).delete()

    with pytest.raises(TrustError) as caught:
        ready.publisher().trust.current("supplier")

    assert caught.value.code == "trust.profiles_differ"


def test_the_first_roots_are_saved_byte_for_byte(ready, tmp_path):
    ready.publisher().trust.rotate_root("image")

    saved = ready.publisher().trust.save_first_roots(tmp_path / "provisioning")

    assert [path.name for path in saved] == [
        "image-root.tuf-1.0.json",
        "image-root.aktualizr.json",
        "director-root.tuf-1.0.json",
        "director-root.aktualizr.json",
    ]
    row = RoleMetadata.objects.get(repository="image", role="root", profile="tuf-1.0", version=1)
    assert saved[0].read_bytes() == bytes(row.body)


def test_a_root_of_strangers_is_refused_by_the_server(ready, tmp_path):
    stranger = KeyStore.create(tmp_path / "other-keys", tenant="acme", roles=["supplier"])
    roles = {
        name: stranger.role("image/root").role_keys if name == "root" else stranger.role("image/targets").role_keys
        for name in ("root", "targets")
    }
    online = ready.publisher().trust._online_roles("image")
    bodies = {
        profile: documents.sealed(
            profile,
            documents.root_body(profile, version=2, expires_at=NOON + 365 * DAY, roles=roles | online),
            lambda data: stranger.sign(stranger.role("image/root"), data),
        )
        for profile in (TUF, AKTUALIZR)
    }

    with pytest.raises(ServerRefusalError) as caught:
        ready.publisher().api.put_metadata("/trust/image/root", bodies)

    assert caught.value.code == "metadata.signature"
    assert ("image", "root", 2) not in versions(ready.tenant)


def test_a_release_role_gets_a_new_key_and_keeps_what_it_has_signed(ready, command):
    ready.publisher().trust.refresh(within=timedelta(days=400))
    old = ready.keys.role("image/supplier").role_keys.keys[0]

    code, out, _ = command("trust", "rotate-role", "supplier", "--json")

    assert code == 0
    assert [(row["role"], row["version"], row["is_new"]) for row in json.loads(out)] == [
        ("targets", 3, True),
        ("supplier", 3, True),
    ]
    keys = KeyStore(ready.keys.folder)
    assert keys.role("image/supplier").role_keys.keys[0].keyid != old.keyid
    assert keys.staged("image/supplier") is None
    assert set(queries.delegated_role(ready.tenant, "supplier").keys) == {
        keys.role("image/supplier").role_keys.keys[0].keyid
    }
    # The store signs on with it.
    assert ready.publisher(keys=keys).trust.refresh(within=timedelta(days=400), roles=["supplier"])[0].version == 4


@pytest.mark.parametrize("arrives", [True, False])
def test_a_rotation_of_a_role_that_is_cut_off_is_finished_by_doing_it_again(ready, arrives):
    def cut(request, response=None):
        if request.method == "PUT":
            raise httpx.ConnectError("gone")

    ready.wire.before, ready.wire.after = (None, cut) if arrives else (cut, None)
    with pytest.raises(UnreachableError):
        ready.publisher().trust.rotate_role("supplier")
    ready.wire.before = ready.wire.after = None
    keys = KeyStore(ready.keys.folder)
    staged = keys.staged("image/supplier")

    ready.publisher(keys=keys).trust.rotate_role("supplier")

    assert KeyStore(ready.keys.folder).role("image/supplier") == staged
    assert [version for _, role, version in versions(ready.tenant) if role == "supplier"] == [1, 2]
    assert list(queries.delegated_role(ready.tenant, "supplier").keys) == [staged.stored[0].public.keyid]


def test_a_role_that_nobody_delegates_to_is_not_rotated(ready):
    with pytest.raises(InputError) as refusal:
        ready.publisher().trust.rotate_role("brakes")

    assert refusal.value.code == "trust.no_role"
    assert ready.keys.staged("image/brakes") is None
