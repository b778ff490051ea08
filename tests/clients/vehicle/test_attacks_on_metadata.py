"""Attacks of wire/uptane.md 6.1 on what is signed and by whom: A11, A13, A16, A17, A18, A19, A28."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from clients.vehicle.config import Limits
from tests.clients.vehicle.conftest import NOON
from tests.clients.vehicle.refusals import assert_completed, assert_refused, assert_updatable
from tests.clients.vehicle.repositories import Signer, canonical, envelope, stamp

PATHS = {"director": "/director/metadata/", "image": "/repo/metadata/"}
ROLES = ["timestamp", "snapshot", "targets"]
BOTH = pytest.mark.parametrize("repository", ["director", "image"])


@pytest.fixture
def attempt(oem, vehicle):
    """Release 2.0 is ordered."""
    return oem.order(oem.publish_release("2.0", counter=2))


def serve(oem, repository, role, data):
    oem.overrides[PATHS[repository] + getattr(oem, repository).latest(role)] = data


@BOTH
def test_a11_targets_of_another_version_are_refused(vehicle, oem, attempt, repository):
    repo = getattr(oem, repository)
    old = repo.files[f"{repo.versions['targets'] - 1}.targets.json"]
    serve(oem, repository, "targets", old)

    assert_refused(vehicle, oem, "mix_and_match", still=attempt)


@BOTH
def test_a11_a_timestamp_with_the_hash_of_another_snapshot_is_refused(vehicle, oem, attempt, repository):
    repo = getattr(oem, repository)
    repo.publish_timestamp(meta={"hashes": {"sha256": "0" * 64}})

    assert_refused(vehicle, oem, "mix_and_match", still=attempt, mend=repo.publish)


def test_a11_a_delegated_role_of_another_version_is_refused(vehicle, oem, attempt):
    old = oem.image.files[f"{oem.image.versions['supplier'] - 1}.supplier.json"]
    serve(oem, "image", "supplier", old)

    assert_refused(vehicle, oem, "mix_and_match", still=attempt)


def test_a11_a_snapshot_that_names_the_hash_of_other_targets_is_refused(vehicle, oem, attempt):
    version = oem.image.versions["supplier"]
    oem.image.publish_snapshot(meta={"supplier.json": {"version": version, "hashes": {"sha256": "0" * 64}}})
    oem.image.publish_timestamp()

    assert_refused(vehicle, oem, "mix_and_match", still=attempt, mend=oem.image.publish)


def unsigned(repo, role):
    return canonical({"signatures": [], "signed": repo.signed(role)})


def signed_by_a_stranger(repo, role):
    return envelope(repo.signed(role), Signer())


def signed_by_another_role(repo, role):
    return envelope(repo.signed(role), *repo.signers["timestamp" if role != "timestamp" else "snapshot"])


def signature_cut(repo, role):
    document = json.loads(repo.files[repo.latest(role)])
    document["signatures"][0]["sig"] = document["signatures"][0]["sig"][:-2]
    return canonical(document)


def signature_not_hex(repo, role):
    document = json.loads(repo.files[repo.latest(role)])
    document["signatures"][0]["sig"] = "not hexadecimal =="
    return canonical(document)


def content_changed(repo, role):
    document = json.loads(repo.files[repo.latest(role)])
    document["signed"]["expires"] = stamp(NOON + timedelta(days=9))
    return canonical(document)


# The snapshot's hash stands in the timestamp, which finds every change before the signature does.
@pytest.mark.parametrize("place", [(repository, role) for repository in PATHS for role in ("timestamp", "targets")])
@pytest.mark.parametrize(
    "forge",
    [unsigned, signed_by_a_stranger, signed_by_another_role, signature_cut, signature_not_hex, content_changed],
)
def test_a13_metadata_without_the_right_signature_is_refused(vehicle, oem, attempt, place, forge):
    repository, role = place
    serve(oem, repository, role, forge(getattr(oem, repository), role))

    assert_refused(vehicle, oem, "signature", still=attempt)


@pytest.mark.parametrize("forge", [unsigned, signed_by_a_stranger, content_changed])
def test_a13_a_forged_delegated_role_is_refused(vehicle, oem, attempt, forge):
    serve(oem, "image", "supplier", forge(oem.image, "supplier"))

    assert_refused(vehicle, oem, "signature", still=attempt)


@BOTH
def test_a13_a_snapshot_signed_by_a_stranger_is_refused(vehicle, oem, attempt, repository):
    repo = getattr(oem, repository)
    repo.put("snapshot", repo.signed("snapshot"), Signer())
    repo.publish_timestamp()

    assert_refused(vehicle, oem, "signature", still=attempt, mend=repo.publish)


@pytest.mark.parametrize("role", ROLES)
def test_a13_a_file_of_another_type_is_refused(vehicle, oem, attempt, role):
    body = oem.director.signed(role) | {"_type": "root"}
    serve(oem, "director", role, envelope(body, *oem.director.signers[role]))

    assert_refused(vehicle, oem, "malformed", still=attempt)


@pytest.mark.parametrize(("threshold", "reason"), [(0, "malformed"), (-1, "malformed"), (1001, "signature")])
def test_a16_a_threshold_that_cannot_be_is_refused(vehicle, oem, attempt, threshold, reason):
    body = oem.director.root_body()
    oem.director.versions["root"] = 1
    body["roles"]["targets"]["threshold"] = threshold
    oem.overrides[PATHS["director"] + "2.root.json"] = envelope(body, *oem.director.signers["root"])

    assert_refused(vehicle, oem, reason, still=attempt)


def test_a16_one_signature_twice_counts_once(vehicle, oem, attempt):
    oem.image.thresholds["targets"] = 2
    oem.image.signers["targets"].append(Signer())
    oem.image.publish_root()
    signer, other = oem.image.signers["targets"]
    signed = oem.image.signed("targets")
    once = signer.sign(canonical(signed))
    serve(oem, "image", "targets", canonical({"signatures": [once, once], "signed": signed}))
    before = vehicle.trust()

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "malformed")
    assert vehicle.trust() == before
    assert other.keyid != signer.keyid
    assert_completed(vehicle, oem, attempt, mend=oem.image.publish)
    assert_updatable(vehicle, oem)


def test_a16_too_few_signatures_are_refused(vehicle, oem, attempt):
    oem.image.thresholds["targets"] = 2
    oem.image.signers["targets"].append(Signer())
    oem.image.publish_root()
    serve(oem, "image", "targets", envelope(oem.image.signed("targets"), oem.image.signers["targets"][0]))

    assert_refused(vehicle, oem, "signature", still=attempt, mend=oem.image.publish)


@pytest.mark.parametrize("spelling", [str, str.upper])
def test_a16_one_key_under_two_ids_is_refused_in_a_root(vehicle, oem, attempt, spelling):
    body = oem.director.root_body()
    signer = oem.director.signers["targets"][0]
    again = signer.key | {"keyval": {"public": spelling(signer.public)}, "x-copy": 1}
    body["keys"]["ab" * 32] = again
    body["roles"]["targets"] = {"keyids": [signer.keyid, "ab" * 32], "threshold": 2}
    oem.overrides[PATHS["director"] + "2.root.json"] = envelope(body, *oem.director.signers["root"])
    oem.director.versions["root"] = 1

    assert_refused(vehicle, oem, "threshold", still=attempt)


def test_a16_one_key_under_two_ids_is_refused_in_a_delegation(vehicle, oem, attempt):
    oem.image.delegations["keys"]["ab" * 32] = oem.image.signers["supplier"][0].key
    oem.image.publish()
    before = vehicle.trust()

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "threshold")
    assert vehicle.trust() == before
    assert oem.finished(attempt) == [("failure", "verification_failed")]
    del oem.image.delegations["keys"]["ab" * 32]
    assert_updatable(vehicle, oem)


def new_root(repo):
    signers = [Signer(), Signer()]
    body = repo.root_body()
    repo.versions["root"] -= 1
    body["keys"] |= {signer.keyid: signer.key for signer in signers}
    body["roles"]["root"] = {"keyids": [signer.keyid for signer in signers], "threshold": 2}
    return body, signers


@BOTH
@pytest.mark.parametrize("has_old", [True, False])
def test_a17_a_root_needs_old_and_new_signatures(vehicle, oem, attempt, repository, has_old):
    repo = getattr(oem, repository)
    body, signers = new_root(repo)
    served = envelope(body, *(repo.signers["root"] if has_old else signers))
    oem.overrides[PATHS[repository] + "2.root.json"] = served

    assert_refused(vehicle, oem, "signature", still=attempt)


@pytest.mark.parametrize("version", [1, 3])
@BOTH
def test_a17_a_root_that_is_not_the_next_one_is_refused(vehicle, oem, attempt, repository, version):
    repo = getattr(oem, repository)
    body = repo.root_body(version=version)
    repo.versions["root"] = 1
    oem.overrides[PATHS[repository] + "2.root.json"] = envelope(body, *repo.signers["root"])

    assert_refused(vehicle, oem, "root_chain", still=attempt)


@BOTH
def test_a17_an_expired_root_on_the_way_is_fine(vehicle, oem, attempt, repository):
    repo = getattr(oem, repository)
    repo.publish_root(expires=stamp(NOON - timedelta(days=1)))
    repo.rotate("root")

    assert vehicle.run().status == "installed"


@BOTH
def test_a17_an_expired_last_root_is_refused(vehicle, oem, attempt, repository):
    repo = getattr(oem, repository)
    data = repo.publish_root(expires=stamp(NOON - timedelta(days=1)))
    del repo.files["2.root.json"]
    repo.versions["root"] = 1
    oem.overrides[PATHS[repository] + "2.root.json"] = data

    assert_refused(vehicle, oem, "freeze", still=attempt)


def test_a17_an_endless_chain_of_roots_is_walked_in_bounded_stages(vehicle, oem):
    for _ in range(25):
        oem.director.publish_root()
    oem.director.publish()
    vehicle.config = replace(vehicle.config, limits=replace(Limits(), root_hops=10))
    vehicle.restart()

    vehicle.run()

    assert sum(path.endswith(".root.json") for path in oem.paths()) == 10
    assert_updatable(vehicle, oem)


def misused(oem, change):
    """The Director's targets changed by `change`, signed with its own keys."""
    body = oem.director.signed("targets")
    change(body)
    oem.director.put("targets", body)


def delegating(body):
    body["delegations"] = {"keys": {}, "roles": []}


def an_ecu_twice(body):
    first, second = list(body["targets"].values())[:2]
    first["custom"]["ecuIdentifiers"] |= second["custom"]["ecuIdentifiers"]


def an_unknown_ecu(body):
    next(iter(body["targets"].values()))["custom"]["ecuIdentifiers"] = {"X9": {"hardwareId": "gateway"}}


def wrong_hardware(body):
    next(iter(body["targets"].values()))["custom"]["ecuIdentifiers"] = {"P1": {"hardwareId": "engine"}}


@pytest.mark.parametrize("change", [delegating, an_ecu_twice, an_unknown_ecu, wrong_hardware])
def test_a18_a_misused_director_is_refused(vehicle, oem, attempt, change):
    misused(oem, change)

    assert_refused(vehicle, oem, "director_misuse", attempt=attempt)


@pytest.mark.parametrize("change", [delegating, an_ecu_twice, an_unknown_ecu, wrong_hardware])
def test_a18_a_director_that_only_seems_to_be_misused_is_asked_again(vehicle, oem, attempt, change):
    body = oem.director.signed("targets")
    change(body)
    serve(oem, "director", "targets", envelope(body, Signer()))

    assert_refused(vehicle, oem, "director_misuse", still=attempt)


@pytest.mark.parametrize("change", [lambda body: body["custom"].clear(), lambda body: body.pop("custom")])
def test_a18_targets_without_an_order_are_refused(vehicle, oem, attempt, change):
    misused(oem, change)

    assert_refused(vehicle, oem, "malformed")


@pytest.mark.parametrize("role", ROLES)
@BOTH
def test_a19_one_version_with_two_contents_is_refused(vehicle, oem, attempt, repository, role):
    assert vehicle.run().status == "installed"
    repo = getattr(oem, repository)
    attempt = oem.order(oem.publish_release("3.0", counter=3), publish=repository == "image")
    # Same version as trusted, other content, all signed with the role's own key, and the roles above it new.
    trusted = json.loads(trusted_file(vehicle, repository, role))["signed"]
    changed = trusted | {"expires": stamp(NOON + timedelta(days=20))}
    repo.put(role, changed)
    meta = {"version": trusted["version"]}
    if role == "targets":
        repo.publish_snapshot(meta={"targets.json": meta | hashed(repo.files[f"{meta['version']}.targets.json"])})
        repo.publish_timestamp()
    if role == "snapshot":
        data = repo.files[f"{meta['version']}.snapshot.json"]
        repo.publish_timestamp(meta=meta | hashed(data))

    assert_refused(vehicle, oem, "equivocation", still=attempt, mend=repo.publish)


def trusted_file(vehicle, repository, role):
    return (vehicle.config.state_dir / "trust/current" / repository / f"{role}.json").read_bytes()


def hashed(data):
    return {"length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}


def key_twice(data):
    return data.replace(b'"version":', b'"version":99,"version":', 1)


def key_twice_in_envelope(data):
    return data[:-1] + b',"signatures":[]}'


def with_float(data):
    return data.replace(b'"spec_version":"1.0.31"', b'"spec_version":"1.0.31","x":1.0')


def with_huge_integer(data):
    return data.replace(b'"spec_version":"1.0.31"', b'"spec_version":"1.0.31","x":' + b"9" * 5000)


def with_rounded_integer(data):
    return data.replace(b'"spec_version":"1.0.31"', b'"spec_version":"1.0.31","x":9007199254740993')


def with_nan(data):
    return data.replace(b'"spec_version":"1.0.31"', b'"spec_version":"1.0.31","x":NaN')


def with_deep_nesting(data):
    return data.replace(b'"spec_version":"1.0.31"', b'"spec_version":"1.0.31","x":' + b"[" * 40 + b"]" * 40)


def with_very_deep_nesting(_data):
    return b"[" * 15_000


def with_bom(data):
    return b"\xef\xbb\xbf" + data


def in_utf16(data):
    return data.decode().encode("utf-16")


def with_trailing_data(data):
    return data + b"{}"


def with_another_member(data):
    return data[:-1] + b',"more":{}}'


def empty(_data):
    return b""


def cut_short(data):
    return data[:-10]


def an_array(data):
    return b"[" + data + b"]"


@pytest.mark.parametrize(
    "spoil",
    [
        key_twice,
        key_twice_in_envelope,
        with_float,
        with_huge_integer,
        with_rounded_integer,
        with_nan,
        with_deep_nesting,
        with_very_deep_nesting,
        with_bom,
        in_utf16,
        with_trailing_data,
        with_another_member,
        empty,
        cut_short,
        an_array,
    ],
)
def test_a28_what_readers_read_differently_is_refused(vehicle, oem, attempt, spoil):
    serve(oem, "director", "timestamp", spoil(oem.director.files["timestamp.json"]))

    assert_refused(vehicle, oem, "malformed", still=attempt)


@pytest.mark.parametrize("spoil", [key_twice, with_another_member, with_trailing_data, empty, an_array])
def test_a28_junk_from_the_image_repository_ends_no_attempt(vehicle, oem, attempt, spoil):
    serve(oem, "image", "timestamp", spoil(oem.image.files["timestamp.json"]))

    assert_refused(vehicle, oem, "malformed", still=attempt)


def test_a28_a_pretty_envelope_with_the_same_canonical_body_has_the_same_verdict(vehicle, oem, attempt):
    document = json.loads(oem.director.files["timestamp.json"])
    serve(oem, "director", "timestamp", json.dumps(document, indent=2).encode())

    assert vehicle.run().status == "installed"
