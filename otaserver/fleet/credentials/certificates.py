"""The fleet CA of a tenant and the client certificates it issues (RFC 5280, PKCS #10 of RFC 2986)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=20 * 365)
CERTIFICATE_LIFETIME = timedelta(days=825)
# A proxy whose clock is a little behind must not refuse a fresh certificate.
BACKDATED = timedelta(hours=1)
MAX_REQUEST_LENGTH = 16 * 1024
_RequestKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its certificate and its private key (PKCS #8), both PEM."""

    certificate_pem: str
    key_pem: bytes


@dataclass(frozen=True)
class IssuedCertificate:
    """A client certificate (PEM), its serial number in hex without leading zeros, and its end."""

    pem: str
    serial: str
    expires_at: datetime


class RequestRefusedError(ValueError):
    """A certificate request that no certificate is issued for."""


def make_authority(tenant: str, *, at: datetime) -> Authority:
    """Make a new certificate authority for one tenant's vehicles, with an EC P-256 key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"fleet CA of {tenant}"[:64], tenant)
    builder = _builder(name, name, key.public_key(), at=at, expires_at=_seconds(at + AUTHORITY_LIFETIME))
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Authority(_pem(certificate), key_pem)


def load_request(pem: str) -> _RequestKey:
    """Return the public key that a certificate request asks for, after checking that its sender holds the other half.

    The subject that it names is not looked at: who the vehicle is, the claim code says.

    Raises:
        RequestRefusedError: not PEM PKCS #10, a wrong signature, or another kind of key.
    """
    if len(pem) > MAX_REQUEST_LENGTH:
        raise RequestRefusedError(f"A certificate request has at most {MAX_REQUEST_LENGTH} characters, not {len(pem)}.")
    try:
        request = x509.load_pem_x509_csr(pem.encode(errors="replace"))
        key, is_signed = request.public_key(), request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature, TypeError) as error:
        raise RequestRefusedError("The certificate request is not a PEM PKCS #10 request that can be read.") from error
    if not is_signed:
        raise RequestRefusedError("The certificate request is not signed with the key that it names.")
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 8192:
        return key
    raise RequestRefusedError("A certificate request's key is EC P-256, Ed25519 or RSA with 2048 to 8192 bits.")


def issue(
    authority: Authority,
    public_key: _RequestKey,
    *,
    vehicle_id: str,
    tenant: str,
    at: datetime,
    lifetime: timedelta = CERTIFICATE_LIFETIME,
) -> IssuedCertificate:
    """Issue a client certificate that says: the holder of this key is `vehicle_id` of `tenant`.

    It ends after `lifetime`, or with the authority if that is sooner.
    """
    signer = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    key = serialization.load_pem_private_key(authority.key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("a fleet CA has an EC key")
    expires_at = min(_seconds(at + lifetime), signer.not_valid_after_utc)
    certificate = (
        _builder(_name(vehicle_id, tenant), signer.subject, public_key, at=at, expires_at=expires_at)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return IssuedCertificate(_pem(certificate), f"{certificate.serial_number:x}", expires_at)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: _RequestKey, *, at: datetime, expires_at: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_seconds(at - BACKDATED))
        .not_valid_after(expires_at)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str, organization: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _seconds(at: datetime) -> datetime:
    return at.replace(microsecond=0)
