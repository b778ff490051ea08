"""Client certificates whose keys are made here, for clients that can make none: PKCS #12 (RFC 7292), no password.

OpenSSL's PKCS12_parse reads them with an empty password, which is how aktualizr asks it to.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from otaserver.fleet.credentials import certificates
from otaserver.fleet.credentials.certificates import Authority


@dataclass(frozen=True)
class Bundle:
    """A new private key with its certificate and the CA of the server; the serial number as in IssuedCertificate."""

    pkcs12: bytes
    serial: str
    expires_at: datetime


def make_bundle(
    authority: Authority,
    *,
    common_name: str,
    tenant: str,
    server_authority: str,
    lifetime: timedelta,
    at: datetime,
) -> Bundle:
    """Make an EC P-256 key and issue a certificate for it; the key exists in what is returned, and nowhere else.

    `server_authority` (PEM, one certificate or several) goes along: it is what the client will know the server by.

    Raises:
        ValueError: there is no certificate in `server_authority`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    issued = certificates.issue(
        authority, key.public_key(), vehicle_id=common_name, tenant=tenant, at=at, lifetime=lifetime
    )
    packed = pkcs12.serialize_key_and_certificates(
        common_name.encode(),
        key,
        x509.load_pem_x509_certificate(issued.pem.encode()),
        x509.load_pem_x509_certificates(server_authority.encode()),
        serialization.NoEncryption(),
    )
    return Bundle(packed, issued.serial, issued.expires_at)
