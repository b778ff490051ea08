import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Targets

from clients.publisher import documents
from clients.publisher.documents import AKTUALIZR, PROFILES, TUF, Delegation, RoleKeys
from clients.publisher.errors import InputError, TrustError

pytestmark = pytest.mark.any_database

EXPIRES = datetime(2027, 1, 1, tzinfo=UTC)
SIGNERS = [CryptoSigner.generate_ed25519() for _ in range(3)]
ROLE = RoleKeys(tuple(signer.public_key for signer in SIGNERS), 2)


def sign(data, count=2):
    return [signer.sign(data) for signer in SIGNERS[:count]]


def targets(profile, **fields):
    values = {"version": 3, "expires_at": EXPIRES, "targets": {}} | fields
    return documents.targets_body(profile, **values)


def test_the_tuf_profile_is_read_and_verified_by_python_tuf():
    roles = {
        name: RoleKeys((CryptoSigner.generate_ed25519().public_key,), 1)
        for name in ("targets", "snapshot", "timestamp")
    }
    root = documents.sealed(
        TUF, documents.root_body(TUF, version=1, expires_at=EXPIRES, roles={"root": ROLE, **roles}), sign
    )
    delegations = [Delegation("supplier", ROLE)]
    top = documents.sealed(TUF, targets(TUF, delegations=delegations), sign)
    entry = documents.target_entry(
        length=3, sha256="a" * 64, sha512="b" * 128, name="x", version="1", hardware_ids=["h"], release_counter=0
    )
    supplier = documents.sealed(TUF, targets(TUF, targets={"supplier/x-1": entry}), sign)

    read_root = Metadata[Root].from_bytes(root)
    read_top = Metadata[Targets].from_bytes(top)
    read_root.verify_delegate("root", read_root)
    read_top.verify_delegate("supplier", Metadata[Targets].from_bytes(supplier))

    assert read_root.signed.consistent_snapshot
    assert read_top.signed.delegations.roles["supplier"].paths == ["supplier/*"]
    assert read_top.signed.delegations.roles["supplier"].is_delegated_path("supplier/x-1")


def test_the_aktualizr_profile_has_that_clients_words():
    body = documents.root_body(AKTUALIZR, version=1, expires_at=EXPIRES, roles={"root": ROLE})

    envelope = json.loads(documents.sealed(AKTUALIZR, body, sign))

    assert envelope["signed"]["_type"] == "Root"
    assert "spec_version" not in envelope["signed"]
    assert envelope["signed"]["consistent_snapshot"] is False
    assert {each["keytype"] for each in envelope["signed"]["keys"].values()} == {"ED25519"}
    assert {each["method"] for each in envelope["signatures"]} == {"ed25519"}


@pytest.mark.parametrize("profile", PROFILES)
def test_what_was_sealed_is_opened_again(profile):
    document = documents.opened(profile, documents.sealed(profile, targets(profile), sign), ROLE)

    assert (document.version, document.expires_at, document.signed["targets"]) == (3, EXPIRES, {})


@pytest.mark.parametrize("profile", PROFILES)
def test_the_envelope_is_compact_sorted_ascii(profile):
    data = documents.sealed(profile, targets(profile), sign)

    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode("ascii")


@pytest.mark.parametrize("profile", PROFILES)
def test_too_few_signatures_are_not_opened(profile):
    data = documents.sealed(profile, targets(profile), lambda data: sign(data, 1))

    with pytest.raises(TrustError, match="1 good signature"):
        documents.opened(profile, data, ROLE)


@pytest.mark.parametrize("profile", PROFILES)
def test_one_key_signing_twice_counts_once(profile):
    data = documents.sealed(profile, targets(profile), lambda data: sign(data, 1) * 2)

    with pytest.raises(TrustError, match="1 good signature"):
        documents.opened(profile, data, ROLE)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_changed_body_is_not_opened(profile):
    data = documents.sealed(profile, targets(profile), sign).replace(b'"version":3', b'"version":4')

    with pytest.raises(TrustError, match="0 good signature"):
        documents.opened(profile, data, ROLE)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff", b'{"signed":{},"signatures":[]}', b'{"signed":1,"signatures":2}'],
)
def test_what_is_no_metadata_is_told(data):
    with pytest.raises(TrustError) as caught:
        documents.opened(TUF, data, ROLE)

    assert caught.value.code == "trust.unreadable"


@pytest.mark.parametrize("signature", ["zz", "00", "", 7, None])
def test_a_signature_that_is_none_counts_as_none(signature):
    envelope = json.loads(documents.sealed(TUF, targets(TUF), sign))
    for each in envelope["signatures"]:
        each["sig"] = signature

    with pytest.raises(TrustError):
        documents.opened(TUF, json.dumps(envelope).encode(), ROLE)


@pytest.mark.parametrize("value", ["ü", "a\x00b", "tab\t", 1.5, {"x": ["ß"]}, {"ü": 1}])
def test_what_clients_would_read_differently_is_not_signed(value):
    with pytest.raises(InputError, match="Signed metadata takes"):
        documents.sealed(TUF, targets(TUF, targets={"supplier/x-1": value}), sign)


def test_times_are_written_in_utc_without_fractions():
    at = datetime(2026, 6, 1, 14, 30, 1, 999, tzinfo=timezone(timedelta(hours=2)))

    assert documents.format_time(at) == "2026-06-01T12:30:01Z"


@pytest.mark.parametrize("value", [None, "text", {}, {"keytype": "ed25519", "scheme": "ed25519"}, {"keytype": 1}])
def test_what_is_no_key_is_told(value):
    with pytest.raises(InputError, match="no key"):
        documents.public_key(value)


def test_a_public_key_gets_the_tuf_key_id():
    described = SIGNERS[0].public_key.to_dict()

    assert documents.public_key(described).keyid == SIGNERS[0].public_key.keyid
