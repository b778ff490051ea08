"""Keys that devices made themselves and sign their requests with: RSA, ECDSA and Ed25519, over the bytes as sent."""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from otaserver.fleet.credentials.keys import MAX_RSA_BITS, MIN_RSA_BITS

MAX_PEM_LENGTH = 4096
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_Key = RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey


class KeyRefusedError(ValueError):
    """It is no public key of a kind that is taken; the message is a sentence."""


@dataclass(frozen=True)
class DeviceKey:
    """A public key in the one spelling in which it is stored, and the SHA-256 of its SubjectPublicKeyInfo."""

    pem: str
    sha256: str
    key: _Key

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether this key made the signature: PKCS #1 v1.5 or ECDSA (DER) with SHA-256, or pure Ed25519."""
        try:
            if isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, message, padding.PKCS1v15(), SHA256())
            elif isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, message)
            else:
                self.key.verify(signature, message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def load_device_key(pem: str) -> DeviceKey:
    """Return the key in a PEM SubjectPublicKeyInfo. However it is spelt, one key has one SHA-256.

    Raises:
        KeyRefusedError: it is none, or of a kind or size that is not taken.
    """
    key = _loaded(pem)
    if isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise KeyRefusedError(f"An RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, not {key.key_size}.")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        raise KeyRefusedError(f"An elliptic curve is one of {', '.join(_CURVES)}, not {key.curve.name}.")
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    spelt = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return DeviceKey(spelt, hashlib.sha256(der).hexdigest(), key)


def _loaded(pem: str) -> _Key:
    refusal = "A device's key is a PEM public key (SubjectPublicKeyInfo) of RSA, ECDSA or Ed25519."
    if len(pem) > MAX_PEM_LENGTH:
        raise KeyRefusedError(f"{refusal} This has {len(pem)} characters; {MAX_PEM_LENGTH} are read.")
    try:
        key = load_pem_public_key(pem.encode(errors="replace"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefusedError(refusal) from error
    if not isinstance(key, RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey):
        raise KeyRefusedError(refusal)
    return key
