import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer._utils import compute_default_keyid

from otaserver.fleet.credentials import keys

ED25519 = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "ab" * 32}}


def pem(private_key):
    return private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def rsa_pem():
    return pem(rsa.generate_private_key(65537, 2048))


def rsa_key(public):
    return {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": {"public": public}}


def test_ed25519_and_rsa_keys_are_accepted(rsa_pem):
    assert [keys.key_problem(key) for key in (ED25519, rsa_key(rsa_pem), rsa_key(rsa_pem.rstrip("\n")))] == [None] * 3


@pytest.mark.parametrize(
    "changed",
    [
        {"keytype": "ecdsa"},
        {"keytype": ["ed25519"]},
        {"scheme": "rsassa-pss-sha256"},
        {"keyval": "ab" * 32},
        {"keyval": {"public": "AB" * 32}},
        {"keyval": {"public": "ab" * 31}},
        {"keyval": {"public": "ab" * 32 + "\n"}},
        {"keyval": {"public": 1}},
        {"keyval": {"public": "ab" * 32, "private": "cd" * 32}},
        {"keyid": "x"},
    ],
)
def test_a_key_of_another_form_is_refused_with_a_sentence(changed):
    assert keys.key_problem(ED25519 | changed).endswith(".")


def test_a_key_without_a_scheme_is_refused():
    assert keys.key_problem({"keytype": "ed25519", "keyval": {"public": "ab" * 32}}).endswith("nothing else.")


def test_an_rsa_key_is_refused_when_it_is_short_or_none_or_spelt_in_another_way(rsa_pem):
    short = pem(rsa.generate_private_key(65537, 1024))
    other = pem(ec.generate_private_key(ec.SECP256R1()))
    one_line = rsa_pem.replace("\n", "\r\n")

    problems = [keys.key_problem(rsa_key(public)) for public in (short, other, "PEM", "x" * 5000, one_line)]

    bits = "An RSA public key is a PEM SubjectPublicKeyInfo of 2048 to 8192 bits."
    assert problems == [bits, bits, bits, bits, "An RSA public key is in the PEM form OpenSSL writes."]


def test_the_key_id_is_the_one_that_securesystemslib_computes(rsa_pem):
    for key in (ED25519, rsa_key(rsa_pem)):
        expected = compute_default_keyid(key["keytype"], key["scheme"], key["keyval"])
        assert keys.keyid_of(key) == expected
