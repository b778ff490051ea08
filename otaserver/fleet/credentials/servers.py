"""A certificate for the server itself where nobody has bought one: of a CA of its own, which callers have to trust."""

import ipaddress
from collections.abc import Collection
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from otaserver.fleet.credentials.certificates import Authority

AUTHORITY_LIFETIME = timedelta(days=10 * 365)
# The longest that browsers take.
LIFETIME = timedelta(days=397)
RENEWED_BEFORE = timedelta(days=60)
_BACKDATED = timedelta(hours=1)


def make_server_authority(*, at: datetime) -> Authority:
    """Make the CA of one installation; its key signs nothing but this server's own certificates."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("CA of this OTA server")
    builder = _builder(name, name, key.public_key(), at=at, lifetime=AUTHORITY_LIFETIME)
    certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(
        key, hashes.SHA256()
    )
    return Authority(_pem(certificate), _key_pem(key))


def issue_server_certificate(authority: Authority, names: Collection[str], *, at: datetime) -> Authority:
    """Issue a certificate, with a new key, for a server that is called by these host names and addresses."""
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    signer = serialization.load_pem_private_key(authority.key_pem, password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("a server's CA has an EC key")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name("OTA server"), issuer.subject, key.public_key(), at=at, lifetime=LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in sorted(names)]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Authority(_pem(certificate), _key_pem(key))


def is_good(present: Authority, authority: Authority, names: Collection[str], *, at: datetime) -> bool:
    """Return whether this is a certificate of that CA for exactly these names, with its key, not to be renewed yet."""
    try:
        certificate = x509.load_pem_x509_certificate(present.certificate_pem.encode())
        issuer = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
        certificate.verify_directly_issued_by(issuer)
        key = serialization.load_pem_private_key(present.key_pem, password=None)
    except (ValueError, TypeError, InvalidSignature):
        return False
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    is_for_these = list(found) == [_alternative(name) for name in sorted(names)]
    is_young = at < certificate.not_valid_after_utc - RENEWED_BEFORE
    return is_for_these and is_young and certificate.public_key() == key.public_key()


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, at: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((at - _BACKDATED).replace(microsecond=0))
        .not_valid_after((at + lifetime).replace(microsecond=0))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
