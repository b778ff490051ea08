"""Both profiles: what is read, what is refused, whose signatures count."""

import base64
import json

import pytest
from securesystemslib.signer import CryptoSigner

from firmware_store.states import Profile
from firmware_store.trust import primitives, profiles
from firmware_store.trust.contents import RoleKeys
from firmware_store.trust.errors import (
    DelegationRefusedError,
    KeyRefusedError,
    KeySharedError,
    MetadataMalformedError,
    MetadataProfilesError,
    MetadataSignatureError,
)
from otaserver.tenants.models import Tenant
from tests.firmware_store.ceremony import Ceremony, key_object, new_keys, resigned, role_entry

BOTH = (Profile.TUF, Profile.AKTUALIZR)
KEYS = {role: new_keys(2 if role == "root" else 1) for role in ("root", "targets", "snapshot", "timestamp", "supplier")}
ENTRY = {
    "length": 5,
    "hashes": {"sha256": "a" * 64, "sha512": "b" * 128},
    "custom": {
        "hardwareIds": ["gateway"],
        "releaseCounter": 0,
        "name": "engine",
        "version": "1.0",
        "targetFormat": "BINARY",
    },
}


@pytest.fixture
def ceremony():
    # Nothing here touches the database: online keys are given.
    found = Ceremony(Tenant(name="brand"))
    found.keys |= {"image root": KEYS["root"], "image targets": KEYS["targets"], "supplier": KEYS["supplier"]}
    return found


@pytest.fixture
def roots(ceremony):
    roles = {role: ([key.public_key.to_dict() for key in KEYS[role]], 1) for role in KEYS if role != "supplier"}
    return ceremony.root("image", roles=roles)


def read_root(bodies, *, is_aktualizr_on=True):
    return [profiles.read_root(bodies[one], one, is_aktualizr_on=is_aktualizr_on) for one in bodies]


def read_targets(bodies, *, is_aktualizr_on=True):
    return [profiles.read_targets(bodies[one], one, is_aktualizr_on=is_aktualizr_on) for one in bodies]


def role_keys(*signers, threshold=1):
    return RoleKeys({one.public_key.keyid: one.public_key.to_dict() for one in signers}, threshold)


def test_both_profiles_of_a_root_state_the_same(roots):
    content = profiles.agreed_content(read_root(roots))

    assert content.version == 1
    assert set(content.roles["root"].keys) == {key.public_key.keyid for key in KEYS["root"]}
    assert content.roles["timestamp"].threshold == 1


def test_both_profiles_of_delegations_state_the_same(ceremony):
    content = profiles.agreed_content(read_targets(ceremony.targets()))

    assert list(content.delegations) == ["supplier"]
    assert content.targets == {}


def test_both_profiles_of_a_release_role_state_the_same(ceremony):
    content = profiles.agreed_content(
        read_targets(ceremony.role("supplier", 3, entries={"supplier/engine-1.0": ENTRY}))
    )

    assert content.version == 3
    assert content.delegations is None
    assert content.targets["supplier/engine-1.0"].hardware_ids == ("gateway",)


@pytest.mark.parametrize("profile", BOTH)
@pytest.mark.parametrize(
    "change",
    [
        lambda signed: signed.update(version=2),
        lambda signed: signed.update(expires="2027-01-01T00:00:00Z"),
        lambda signed: signed["roles"]["root"].update(threshold=2),
    ],
    ids=["version", "expiry", "threshold"],
)
def test_profiles_that_state_different_things_do_not_agree(roots, change, profile):
    changed = resigned(roots, KEYS["root"], change, only=profile)

    with pytest.raises(MetadataProfilesError):
        profiles.agreed_content(read_root(changed))


def test_profiles_that_rank_delegations_differently_do_not_agree(ceremony):
    ceremony.roles, ceremony.keys["other"] = ["supplier", "other"], new_keys()
    turned = resigned(
        ceremony.targets(), KEYS["targets"], lambda signed: signed["delegations"]["roles"].reverse(), only=Profile.TUF
    )

    with pytest.raises(MetadataProfilesError):
        profiles.agreed_content(read_targets(turned))


def drop(name):
    return lambda signed: signed.pop(name)


@pytest.mark.parametrize(
    "change",
    [
        drop("version"),
        drop("expires"),
        drop("keys"),
        drop("roles"),
        drop("_type"),
        drop("consistent_snapshot"),
        lambda signed: signed.update(more=1),
        lambda signed: signed.update(_type="ROOT"),
        lambda signed: signed.update(_type="targets"),
        lambda signed: signed.update(version=0),
        lambda signed: signed.update(version=2**31),
        lambda signed: signed.update(version=True),
        lambda signed: signed.update(version="1"),
        lambda signed: signed.update(expires="2027-01-01T00:00:00+00:00"),
        lambda signed: signed.update(expires="2027-02-30T00:00:00Z"),
        lambda signed: signed.update(expires="2027-01-01T00:00:00.5Z"),
        lambda signed: signed.update(expires=5),
        lambda signed: signed.update(consistent_snapshot=None),
        lambda signed: signed.update(keys=[]),
        lambda signed: signed["roles"].pop("targets"),
        lambda signed: signed["roles"].update(mirror=signed["roles"]["root"]),
        lambda signed: signed["roles"]["root"].update(threshold=0),
        lambda signed: signed["roles"]["root"].update(threshold=-1),
        lambda signed: signed["roles"]["root"].update(threshold=3),
        lambda signed: signed["roles"]["root"].update(threshold=1001),
        lambda signed: signed["roles"]["root"].update(keyids=[]),
        lambda signed: signed["roles"]["root"].update(keyids=["nobody"]),
        lambda signed: signed["roles"]["root"].update(keyids=signed["roles"]["root"]["keyids"] * 2),
        lambda signed: signed["roles"]["root"].update(keyids=[[]]),
        lambda signed: signed["roles"]["root"].update(keyids=signed["roles"]["root"]["keyids"][:1]),
    ],
    ids=range(30),
)
@pytest.mark.parametrize("profile", BOTH)
def test_a_malformed_root_is_refused_in_either_profile(roots, change, profile):
    changed = resigned(roots, KEYS["root"], change, only=profile)

    with pytest.raises(MetadataMalformedError):
        read_root(changed)


@pytest.mark.parametrize("version", ["1.1.0", "2.0.0", "1.0", None, 1])
def test_another_specification_is_refused(roots, version):
    changed = resigned(roots, KEYS["root"], lambda signed: signed.update(spec_version=version), only=Profile.TUF)

    with pytest.raises(MetadataMalformedError):
        read_root(changed)


def test_one_key_in_two_roles_is_refused(roots):
    def share(signed):
        shared = signed["roles"]["root"]["keyids"][0]
        signed["keys"].pop(signed["roles"]["timestamp"]["keyids"][0])
        signed["roles"]["timestamp"]["keyids"] = [shared]

    with pytest.raises(KeySharedError):
        read_root(resigned(roots, KEYS["root"], share))


@pytest.mark.parametrize("profile", BOTH)
def test_a_key_under_another_id_than_its_own_is_refused(roots, profile):
    def rename(signed):
        old = signed["roles"]["targets"]["keyids"][0]
        signed["keys"]["0" * 64] = signed["keys"].pop(old)
        signed["roles"]["targets"]["keyids"] = ["0" * 64]

    with pytest.raises(KeyRefusedError):
        read_root(resigned(roots, KEYS["root"], rename, only=profile))


def test_one_key_under_two_ids_is_refused(ceremony):
    signer = CryptoSigner.generate_rsa(size=2048)
    key = signer.public_key.to_dict()
    twin = key | {"keyval": {"public": key["keyval"]["public"].rstrip()}}
    ceremony.keys["supplier"] = [signer]

    def add_twin(signed):
        twin_id = primitives.keyid_of(twin)
        signed["delegations"]["keys"][twin_id] = key_object(twin, Profile.TUF)
        signed["delegations"]["roles"][0]["keyids"].append(twin_id)

    with pytest.raises(KeySharedError):
        read_targets(resigned(ceremony.targets(), KEYS["targets"], add_twin, only=Profile.TUF))


@pytest.mark.parametrize("is_aktualizr_on", [True, False])
def test_an_ecdsa_key_is_read_only_where_the_aktualizr_profile_is_off(ceremony, is_aktualizr_on):
    ceremony.profiles, ceremony.keys["supplier"] = (Profile.TUF,), [CryptoSigner.generate_ecdsa()]
    bodies = ceremony.targets()

    if is_aktualizr_on:
        with pytest.raises(KeyRefusedError, match="aktualizr rejects a root holding one"):
            read_targets(bodies)
    else:
        assert list(read_targets(bodies, is_aktualizr_on=False)[0].content.delegations) == ["supplier"]


def test_a_key_that_aktualizr_cannot_read_is_refused_in_its_profile(ceremony):
    def rewrite(signed):
        for key in signed["delegations"]["keys"].values():
            key["keytype"] = "ECDSA"

    with pytest.raises(KeyRefusedError):
        read_targets(resigned(ceremony.targets(), KEYS["targets"], rewrite, only=Profile.AKTUALIZR))


def delegation(change):
    return lambda signed: change(signed["delegations"]["roles"])


@pytest.mark.parametrize(
    "change",
    [
        delegation(lambda roles: roles[0].update(paths=["*"])),
        delegation(lambda roles: roles[0].update(paths=["supplier/*", "other/*"])),
        delegation(lambda roles: roles[0].update(paths=[])),
        delegation(lambda roles: roles[0].update(terminating=True)),
        delegation(lambda roles: roles[0].update(name="Supplier")),
        delegation(lambda roles: roles[0].update(name="../x")),
        delegation(lambda roles: roles[0].update(name="a" * 41)),
        *[delegation(lambda roles, name=name: roles[0].update(name=name)) for name in ("root", "targets", "snapshot")],
        delegation(lambda roles: roles.append(roles[0])),
        delegation(lambda roles: roles.extend([{**roles[0], "name": f"r{n}"} for n in range(500)])),
    ],
    ids=range(12),
)
def test_a_delegation_beyond_its_own_path_or_name_is_refused(ceremony, change):
    with pytest.raises(DelegationRefusedError):
        read_targets(resigned(ceremony.targets(), KEYS["targets"], change))


@pytest.mark.parametrize(
    "change",
    [
        delegation(lambda roles: roles[0].update(threshold=0)),
        delegation(lambda roles: roles[0].update(threshold=2)),
        delegation(lambda roles: roles[0].update(keyids=[])),
        delegation(lambda roles: roles[0].update(name=5)),
        delegation(lambda roles: roles[0].pop("terminating")),
        delegation(lambda roles: roles[0].update(path_hash_prefixes=["00"])),
        delegation(lambda roles: roles.clear()),
        lambda signed: signed["delegations"].update(succinct_roles={}),
        lambda signed: signed.update(delegations=None),
        lambda signed: signed.update(targets=[]),
    ],
    ids=range(10),
)
def test_malformed_delegations_are_refused(ceremony, change):
    with pytest.raises(MetadataMalformedError):
        read_targets(resigned(ceremony.targets(), KEYS["targets"], change))


@pytest.mark.parametrize(
    "change",
    [
        {"length": -1},
        {"length": "5"},
        {"hashes": {"sha256": "a" * 64}},
        {"hashes": {"sha256": "A" * 64, "sha512": "b" * 128}},
        {"hashes": {"sha256": "a" * 64, "sha512": "b" * 127}},
        {"hashes": {"sha256": "a" * 64, "sha512": "b" * 128, "md5": "c" * 32}},
        {"custom": {}},
        {"custom": ENTRY["custom"] | {"hardwareIds": "gateway"}},
        {"custom": ENTRY["custom"] | {"hardwareIds": [5]}},
        {"custom": ENTRY["custom"] | {"releaseCounter": -1}},
        {"custom": ENTRY["custom"] | {"releaseCounter": True}},
        {"custom": ENTRY["custom"] | {"name": None}},
        {"custom": ENTRY["custom"] | {"targetFormat": "OSTREE"}},
        {"custom": ENTRY["custom"] | {"uri": "https://example.net/"}},
        {"more": 1},
    ],
    ids=range(15),
)
def test_a_malformed_target_is_refused(ceremony, change):
    bodies = ceremony.role("supplier", 1, entries={"supplier/engine-1.0": ENTRY | change})

    with pytest.raises(MetadataMalformedError):
        read_targets(bodies)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: b"",
        lambda body: b"not json",
        lambda body: body[:-1],
        lambda body: body + b"\n",
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: body.replace(b",", b", ", 1),
        lambda body: body.replace(b'{"signatures"', b'{"signed":{},"signatures"'),
        lambda body: body.replace(b"supplier/engine", b"supplier/\xc3\xa9"),
        lambda body: primitives.canonical(json.loads(body) | {"more": 1}),
        lambda body: primitives.canonical(json.loads(body) | {"signatures": []}),
        lambda body: primitives.canonical(json.loads(body) | {"signatures": json.loads(body)["signatures"] * 2}),
        lambda body: primitives.canonical(json.loads(body) | {"signatures": [{"keyid": "a"}]}),
        lambda body: primitives.canonical(json.loads(body) | {"signed": []}),
        lambda body: body.replace(b'"sig":"', b'"sig":"%'),
        lambda body: b"[" * 100_000,
        lambda body: body[:-1] + b" " * profiles.TARGETS_MAX_BYTES + b"}",
    ],
    ids=range(16),
)
@pytest.mark.parametrize("profile", BOTH)
def test_an_envelope_that_is_not_canonical_json_is_refused(ceremony, spoil, profile):
    body = spoil(ceremony.role("supplier", 1, entries={"supplier/engine-1.0": ENTRY})[profile])

    with pytest.raises(MetadataMalformedError):
        profiles.read_targets(body, profile, is_aktualizr_on=True)


def test_a_body_of_one_profile_is_refused_in_the_other(roots):
    for profile, other in (BOTH, reversed(BOTH)):
        with pytest.raises(MetadataMalformedError):
            profiles.read_root(roots[profile], other, is_aktualizr_on=True)


def test_enough_keys_of_the_role_satisfy_its_threshold(roots):
    for envelope in read_root(roots):
        profiles.require_signatures(envelope, role_keys(*KEYS["root"], threshold=2))


def test_too_few_signatures_are_refused(ceremony):
    one, two = new_keys(2)

    for envelope in read_targets(ceremony.role("supplier", 1, entries={}, signers=[one])):
        with pytest.raises(MetadataSignatureError) as refusal:
            profiles.require_signatures(envelope, role_keys(one, two, threshold=2))
        assert refusal.value.details == {"signed": 1, "threshold": 2}


def test_a_signature_by_a_stranger_is_refused_though_the_threshold_holds(ceremony):
    ours, stranger = new_keys(2)

    for envelope in read_targets(ceremony.role("supplier", 1, entries={}, signers=[ours, stranger])):
        with pytest.raises(MetadataSignatureError):
            profiles.require_signatures(envelope, role_keys(ours))


def test_keys_that_are_allowed_besides_do_not_count(ceremony):
    ours, old = new_keys(2)

    for envelope in read_targets(ceremony.role("supplier", 1, entries={}, signers=[old])):
        with pytest.raises(MetadataSignatureError):
            profiles.require_signatures(
                envelope, role_keys(ours), also={old.public_key.keyid: old.public_key.to_dict()}
            )


def test_a_signature_over_something_else_is_refused(ceremony):
    (signer,) = new_keys()
    good = ceremony.role("supplier", 1, entries={}, signers=[signer])
    other = ceremony.role("supplier", 2, entries={}, signers=[signer])

    for profile in BOTH:
        mixed = json.loads(good[profile]) | {"signatures": json.loads(other[profile])["signatures"]}
        envelope = profiles.read_targets(primitives.canonical(mixed), profile, is_aktualizr_on=True)
        with pytest.raises(MetadataSignatureError):
            profiles.require_signatures(envelope, role_keys(signer))


def test_one_key_under_two_ids_signs_once(ceremony):
    signer = CryptoSigner.generate_rsa(size=2048)
    key = signer.public_key.to_dict()
    twin = key | {"keyval": {"public": key["keyval"]["public"].rstrip()}}
    ids = [primitives.keyid_of(key), primitives.keyid_of(twin)]
    signed = json.loads(ceremony.role("supplier", 1, entries={})[Profile.TUF])["signed"]
    sig = signer.sign(profiles.signed_bytes(signed, Profile.TUF)).signature
    body = primitives.canonical({"signatures": [{"keyid": one, "sig": sig} for one in ids], "signed": signed})
    envelope = profiles.read_targets(body, Profile.TUF, is_aktualizr_on=True)

    with pytest.raises(MetadataSignatureError) as refusal:
        profiles.require_signatures(envelope, RoleKeys(dict(zip(ids, (key, twin), strict=True)), 2))

    assert refusal.value.details == {"signed": 1, "threshold": 2}


@pytest.mark.parametrize("method", ["", "ED25519", "rsassa-pss", "rsassa-pss-sha256", "none"])
def test_an_aktualizr_signature_names_the_method_of_its_key(ceremony, method):
    (signer,) = new_keys()
    envelope = json.loads(ceremony.role("supplier", 1, entries={}, signers=[signer])[Profile.AKTUALIZR])
    envelope["signatures"][0]["method"] = method
    read = profiles.read_targets(primitives.canonical(envelope), Profile.AKTUALIZR, is_aktualizr_on=True)

    with pytest.raises(MetadataSignatureError):
        profiles.require_signatures(read, role_keys(signer))


def test_rsa_keys_sign_for_both_profiles(ceremony):
    signer = CryptoSigner.generate_rsa(size=2048)
    ceremony.keys["supplier"] = [signer]
    top = read_targets(ceremony.targets())
    role = read_targets(ceremony.role("supplier", 1, entries={}))

    keys = profiles.agreed_content(top).delegations["supplier"]
    for envelope in role:
        profiles.require_signatures(envelope, keys)


@pytest.mark.parametrize("signer", [new_keys()[0], CryptoSigner.generate_rsa(size=2048)], ids=["ed25519", "rsa"])
@pytest.mark.parametrize("profile", BOTH)
def test_a_sealed_body_is_its_own_canonical_form_and_verifies(signer, profile):
    signed = {"b": 1, "_type": "x", "a": ["text"]}
    signature = bytes.fromhex(signer.sign(profiles.signed_bytes(signed, profile)).signature)

    sealed = profiles.seal(
        primitives.canonical(signed),
        profile,
        keyid=signer.public_key.keyid,
        keytype=signer.public_key.keytype,
        signature=signature,
    )

    assert sealed == primitives.canonical(json.loads(sealed))
    stored = json.loads(sealed)["signatures"][0]["sig"]
    assert (bytes.fromhex(stored) if profile == Profile.TUF else base64.b64decode(stored)) == signature


def test_the_same_key_id_strings_stand_in_both_profiles(roots):
    assert {tuple(json.loads(body)["signed"]["keys"]) for body in roots.values()} == {
        tuple(
            sorted(role_entry([key.public_key.to_dict() for keys in list(KEYS.values())[:4] for key in keys])["keyids"])
        )
    }
