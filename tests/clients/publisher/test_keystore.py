import json
import stat

import pytest
from securesystemslib.signer import SSlibKey

from clients.publisher.documents import TUF, RoleKeys
from clients.publisher.errors import InputError
from clients.publisher.keystore import KeyStore, StoredKey

pytestmark = pytest.mark.any_database


def make(tmp_path, **fields):
    return KeyStore.create(tmp_path / "keys", tenant="acme", roles=["supplier"], **fields)


def test_a_store_is_for_its_owner_alone(tmp_path):
    store = make(tmp_path)

    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    secret = [path for path in store.folder.iterdir() if path.name != ".lock"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_a_store_has_root_keys_for_both_repositories_and_one_key_for_each_other_role(tmp_path):
    store = make(tmp_path)

    assert [len(store.role(f"{name}/root").stored) for name in ("image", "director")] == [3, 3]
    assert store.role("director/root").threshold == 2
    assert len(store.role("image/targets").stored) == 1
    assert store.release_roles() == ("supplier",)
    assert len(list(store.folder.glob("*.pem"))) == 8


def test_no_key_serves_two_roles(tmp_path):
    store = make(tmp_path)
    names = ["image/root", "director/root", "image/targets", "image/supplier"]

    keyids = [each.public.keyid for name in names for each in store.role(name).stored]

    assert len(keyids) == len(set(keyids)) == 8


def test_made_again_it_adds_what_is_missing_and_touches_no_key(tmp_path):
    before = make(tmp_path).role("image/root")

    store = KeyStore.create(tmp_path / "keys", tenant="acme", roles=["supplier", "brakes"])

    assert store.role("image/root") == before
    assert store.release_roles() == ("brakes", "supplier")


def test_a_suppliers_store_has_no_root_keys(tmp_path):
    store = make(tmp_path, root_keys=0)

    assert store.release_roles() == ("supplier",)
    with pytest.raises(InputError, match="no keys for image/root"):
        store.role("image/root")


def test_the_folder_of_another_tenant_is_refused(tmp_path):
    make(tmp_path)

    with pytest.raises(InputError, match="keys of tenant acme"):
        KeyStore.create(tmp_path / "keys", tenant="other", roles=[])


def test_a_folder_can_be_moved(tmp_path):
    make(tmp_path)
    (tmp_path / "keys").rename(tmp_path / "moved")
    store = KeyStore(tmp_path / "moved")

    signature = store.sign(store.role("image/supplier"), b"data")[0]

    store.role("image/supplier").stored[0].public.verify_signature(signature, b"data")


def test_signing_takes_as_many_keys_as_the_threshold_asks_for(tmp_path):
    store = make(tmp_path)

    signatures = store.sign(store.role("image/root"), b"data")

    assert len({each.keyid for each in signatures}) == 2


@pytest.mark.parametrize(("keys", "threshold"), [(2, 3), (1, 0), (3, -1)])
def test_a_threshold_that_cannot_be_met_makes_no_key(tmp_path, keys, threshold):
    with pytest.raises(InputError, match="threshold"):
        make(tmp_path, root_keys=keys, root_threshold=threshold)

    assert not list((tmp_path / "keys").glob("*.pem"))


@pytest.mark.parametrize("name", ["root", "snapshot", "UPPER", "a/b", "", "ä"])
def test_a_release_role_with_an_impossible_name_makes_no_store(tmp_path, name):
    with pytest.raises(InputError, match="release role"):
        KeyStore.create(tmp_path / "keys", tenant="acme", roles=[name])

    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("text", ["", "{}", "[1]", "{broken"])
def test_an_index_that_cannot_be_read_is_told(tmp_path, text):
    (tmp_path / "keys.json").write_text(text)

    with pytest.raises(InputError, match="cannot be read"):
        KeyStore(tmp_path)


def test_a_folder_without_keys_is_told(tmp_path):
    with pytest.raises(InputError, match="keys init"):
        KeyStore(tmp_path)


def test_a_key_that_does_not_match_its_file_signs_nothing(tmp_path):
    store = make(tmp_path)
    other = store.role("image/targets").stored[0]
    wrong = StoredKey(other.public, store.role("image/supplier").stored[0].uri)
    store.set_role("image/supplier", [wrong], threshold=1)

    with pytest.raises(InputError, match="not usable"):
        store.sign(store.role("image/supplier"), b"data")


@pytest.mark.parametrize("uri", ["nosuch:thing", "hv:thing", "file2:/nowhere.pem"])
def test_a_key_in_a_place_that_does_not_answer_is_told(tmp_path, uri):
    store = make(tmp_path)
    store.set_role("image/supplier", [StoredKey(store.role("image/supplier").stored[0].public, uri)], threshold=1)

    with pytest.raises(InputError, match="can be made"):
        store.sign(store.role("image/supplier"), b"data")


def test_versions_only_rise(tmp_path):
    store = make(tmp_path)

    store.note_version("supplier", 5)
    store.note_version("supplier", 3)

    assert KeyStore(store.folder).seen_version("supplier") == 5


def test_two_open_stores_lose_no_keys_to_each_other(tmp_path):
    store = make(tmp_path)
    other = KeyStore(store.folder)
    other.ensure_role("image/brakes")

    store.note_version("supplier", 2)
    store.ensure_role("image/radio")

    assert KeyStore(store.folder).release_roles() == ("brakes", "radio", "supplier")


def test_staged_root_keys_are_the_same_until_they_are_promoted(tmp_path):
    store = make(tmp_path)
    staged = store.stage_root("image", count=2, threshold=1)

    again = KeyStore(store.folder).stage_root("image", count=2, threshold=1)
    store.promote_root("image")

    assert again == staged
    assert KeyStore(store.folder).role("image/root") == staged


def test_the_profiles_are_kept(tmp_path):
    make(tmp_path, profiles=[TUF])

    assert KeyStore(tmp_path / "keys").profiles == (TUF,)


def test_role_keys_need_a_threshold_within_their_number():
    key = SSlibKey("a", "ed25519", "ed25519", {"public": "00" * 32})

    with pytest.raises(InputError, match="threshold"):
        RoleKeys((key,), 2)


def test_private_keys_stand_in_no_index(tmp_path):
    store = make(tmp_path)

    index = json.loads((store.folder / "keys.json").read_text())

    assert set(index["roles"]["image/supplier"]["keys"][0]) == {"keyid", "public_key", "uri"}
