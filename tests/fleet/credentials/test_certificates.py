from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store

from otaserver.fleet.credentials import certificates
from tests.factories import NOON
from tests.fleet.enrolments import make_csr


def issue(csr, *, at=NOON):
    authority = certificates.make_authority("brand", at=NOON)
    key = certificates.load_request(csr)
    return authority, certificates.issue(authority, key, vehicle_id="VIN1", tenant="brand", at=at)


def test_a_certificate_names_vehicle_and_tenant_and_serves_clients_only():
    _, issued = issue(make_csr(common_name="somebody else"))

    certificate = x509.load_pem_x509_certificate(issued.pem.encode())
    assert [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["VIN1"]
    assert [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["brand"]
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert f"{certificate.serial_number:x}" == issued.serial
    assert certificate.not_valid_after_utc == issued.expires_at == NOON + timedelta(days=825)
    assert certificate.not_valid_before_utc < NOON


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)], ids=["p256", "rsa"]
)
def test_the_authority_vouches_for_its_certificates_in_a_chain(key):
    authority, issued = issue(make_csr(key))
    root = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    leaf = x509.load_pem_x509_certificate(issued.pem.encode())

    # The one rule of the web PKI that does not hold: servers want an alternative name, here the common name says it.
    policies = PolicyBuilder().extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
    )
    chain = policies.store(Store([root])).time(NOON).build_client_verifier().verify(leaf, []).chain
    assert chain == [leaf, root]


def test_an_ed25519_key_is_certified_too():
    authority, issued = issue(make_csr(ed25519.Ed25519PrivateKey.generate(), algorithm=None))

    root = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    x509.load_pem_x509_certificate(issued.pem.encode()).verify_directly_issued_by(root)


def test_no_certificate_outlives_its_authority():
    authority, issued = issue(make_csr(), at=NOON + certificates.AUTHORITY_LIFETIME - timedelta(days=100))

    root = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    assert issued.expires_at == root.not_valid_after_utc


@pytest.mark.parametrize(
    ("csr", "sentence"),
    [
        ("", "can be read"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "can be read"),
        ("\ud800", "can be read"),
        ("x" * 20_000, "at most 16384 characters, not 20000"),
        (make_csr(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        (make_csr(rsa.generate_private_key(65537, 1024)), "RSA with 2048"),
    ],
    ids=["empty", "torn", "no text", "long", "p384", "rsa1024"],
)
def test_a_request_that_no_certificate_is_issued_for_is_refused(csr, sentence):
    with pytest.raises(certificates.RequestRefusedError, match=sentence):
        certificates.load_request(csr)


def test_a_request_signed_with_another_key_is_refused():
    body, other = (x509.load_pem_x509_csr(make_csr().encode()) for _ in range(2))
    forged = body.public_bytes(Encoding.DER)
    # Both are P-256, so the other's public point fits into the body at the same place.
    points = [
        request.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for request in (body, other)
    ]
    assert forged.count(points[0]) == 1
    forged = x509.load_der_x509_csr(forged.replace(*points))

    with pytest.raises(certificates.RequestRefusedError, match="not signed with the key"):
        certificates.load_request(forged.public_bytes(Encoding.PEM).decode())
