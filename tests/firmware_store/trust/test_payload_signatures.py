"""CMS and bare signatures inside package files, against what a tenant has configured."""

import hashlib
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7

from firmware_store.trust import cms, payload_signatures
from firmware_store.trust.errors import PayloadKeyRefusedError, PayloadSignatureError
from firmware_store.trust.payload_signatures import Signed, load_anchor, signed_by, verify
from tests.factories import NOON
from tests.firmware_store.formats.builders import Identity

CONTENT = b"sw-description"
RSA = rsa.generate_private_key(65537, 2048)


def over(content, signature):
    return Signed(signature, lambda name: hashlib.new(name, content).digest())


def holds(signature, *pems, content=CONTENT, at=NOON):
    return verify(over(content, signature), [load_anchor(pem) for pem in pems], at=at)


def refused(signature, *pems, content=CONTENT, at=NOON):
    with pytest.raises(PayloadSignatureError) as refusal:
        holds(signature, *pems, content=content, at=at)
    return refusal.value.message


@pytest.mark.parametrize("key", [RSA, None], ids=["rsa", "ecdsa"])
@pytest.mark.parametrize("hashed", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda one: one.name)
def test_a_certificate_that_is_configured_is_trusted_itself(key, hashed):
    signer = Identity(key=key)

    assert holds(signer.cms(CONTENT, hashed=hashed), Identity().pem, signer.pem) == 1


def test_what_a_configured_authority_issued_is_trusted_through_the_certificates_that_come_along():
    root = Identity("root", is_ca=True)
    middle = Identity("middle", issuer=root, is_ca=True, path_length=0)
    signer = Identity(issuer=middle)

    assert holds(signer.cms(CONTENT, middle), root.pem) == 0
    assert holds(signer.cms(CONTENT), middle.pem + root.pem) == 0
    assert "not trusted" in refused(signer.cms(CONTENT), root.pem)


def test_who_is_no_authority_issues_nothing():
    root = Identity("root", is_ca=True)
    no_authority = Identity("middle", issuer=root)

    assert "not trusted" in refused(Identity(issuer=no_authority).cms(CONTENT, no_authority), root.pem)


def test_an_authority_s_path_length_is_kept():
    root = Identity("root", is_ca=True, path_length=0)
    middle = Identity("middle", issuer=root, is_ca=True)

    assert "not trusted" in refused(Identity(issuer=middle).cms(CONTENT, middle), root.pem)


def test_another_s_certificate_with_the_same_name_is_not_trusted():
    signer, impostor = Identity(), Identity()

    assert "not trusted" in refused(impostor.cms(CONTENT), signer.pem)
    assert "not trusted" in refused(impostor.cms(CONTENT, signer), signer.pem)


def test_certificates_hold_in_their_time_only():
    signer = Identity(days=10)

    for at in (NOON - timedelta(days=2), NOON + timedelta(days=11)):
        assert "not trusted" in refused(signer.cms(CONTENT), signer.pem, at=at)


def test_other_content_is_refused():
    signer = Identity()

    assert refused(signer.cms(CONTENT), signer.pem, content=b"other") == "The signature is for other content."


def test_a_signature_made_with_a_weak_digest_is_refused():
    signer = Identity(key=RSA)
    weak = signer.cms(CONTENT).replace(bytes.fromhex("608648016503040201"), bytes.fromhex("608648016503040204"))

    assert "sha224" in refused(weak, signer.pem)


def test_a_signature_without_signed_attributes_is_refused():
    signer = Identity()

    without = signer.cms(CONTENT, options=[pkcs7.PKCS7Options.NoAttributes])

    assert "no signed attributes" in refused(without, signer.pem)


def test_the_signer_s_certificate_may_be_configured_only():
    signer = Identity()
    bare = signer.cms(CONTENT, options=[pkcs7.PKCS7Options.NoCerts])

    assert holds(bare, signer.pem) == 0
    assert signed_by(over(CONTENT, bare)) == ("cms", ())
    assert "neither" in refused(bare, Identity().pem)


@pytest.mark.parametrize(
    "signature", [b"", b"\x30", b"\x30\x80", b"\x30\x82\xff\xff", b"\x30" * 1000, b"\x30\x00", b"x"]
)
def test_what_is_no_signature_is_refused(signature):
    refused(signature, Identity().pem)
    refused(signature, Identity().key_pem)


def test_a_message_of_too_many_bytes_or_certificates_is_refused():
    signer = Identity(key=RSA)

    assert "most" in refused(b"\x30" * (cms.MAX_BYTES + 1), signer.pem)
    assert "too many" in refused(signer.cms(CONTENT, *[Identity(key=RSA) for _ in range(20)]), signer.pem)


@pytest.mark.parametrize("key", [RSA, None], ids=["rsa", "ecdsa"])
def test_a_bare_signature_holds_against_its_key_alone(key):
    signer = Identity(key=key)

    assert holds(signer.raw(CONTENT), Identity().key_pem, signer.key_pem) == 1
    refused(signer.raw(CONTENT), signer.key_pem, content=b"other")
    refused(signer.raw(CONTENT), signer.pem)
    refused(signer.cms(CONTENT), signer.key_pem)


def test_a_bare_signature_that_begins_like_cms_is_taken_for_what_it_is():
    # 0x30 is how each CMS message begins, and one bare signature in 256.
    key, content = ec.generate_private_key(ec.SECP256R1()), CONTENT
    while (signature := bare(key, content))[:1] != b"\x30":
        content += b"."

    assert signed_by(over(content, signature)) == ("raw", ())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert holds(signature, pem, content=content) == 0


def bare(key, content):
    """Return the ECDSA signature of a content as two numbers of 32 bytes, as mender-artifact writes it."""
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_bare_rsa_signature_may_be_padded_as_pss():
    signature = RSA.sign(CONTENT, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())

    assert holds(signature, Identity(key=RSA).key_pem) == 0


def test_of_several_anchors_none_is_named_with_all_reasons():
    signer = Identity()

    message = refused(signer.cms(CONTENT), Identity(key=RSA).pem, signer.key_pem)

    assert "not trusted" in message
    assert "public key checks a bare one" in message


def pem_of(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        pem_of(ed25519.Ed25519PrivateKey.generate()),
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        pem_of(rsa.generate_private_key(65537, 1024)),
        "x" * (payload_signatures.MAX_PEM_BYTES + 1),
    ],
    ids=["empty", "text", "bad certificate", "bad key", "ed25519", "p-384", "rsa-1024", "long"],
)
def test_what_no_client_could_hold_is_no_anchor(pem):
    with pytest.raises(PayloadKeyRefusedError):
        load_anchor(pem)
