"""Signatures inside package files, by which the vehicles' own clients judge them: CMS, and raw ones by a bare key.

Nothing here decides whether a package is published by a release role; that is the signed metadata's part.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from firmware_store.formats.facts import Signer
from firmware_store.trust import cms
from firmware_store.trust.errors import PayloadKeyRefusedError, PayloadSignatureError

PublicKey = RSAPublicKey | EllipticCurvePublicKey
RSA_MIN_BITS = 2048
MAX_PEM_BYTES = 64 * 1024
_SHA256 = Prehashed(hashes.SHA256())
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")  # its object identifier, 1.2.840.113549.1.7.2, in DER


def _is_bare_length(length: int) -> bool:
    """Return whether a signature by ECDSA on P-256 (r and s) or by RSA of a usual size is that long."""
    return length in (64, 256, 384, 512, 1024)


@dataclass(frozen=True)
class Signed:
    """A signature as it stands in a file, and the digest, by algorithm, of what it signs."""

    signature: bytes
    digest: Callable[[str], bytes]

    @property
    def is_cms(self) -> bool:
        # One bare signature in 256 begins like a DER sequence too; none of them names PKCS#7 signed data.
        is_named = _SIGNED_DATA in self.signature[:32]
        return is_named or (self.signature[:1] == b"\x30" and not _is_bare_length(len(self.signature)))


@dataclass(frozen=True)
class Anchor:
    """What a tenant trusts for one client: certificates, of which one must have issued the signer's, or a key."""

    certificates: tuple[x509.Certificate, ...] = ()
    key: PublicKey | None = None


def load_anchor(pem: str) -> Anchor:
    """Read what an operator configures, in PEM.

    Raises:
        PayloadKeyRefusedError: neither certificates nor a public key that a client could hold.
    """
    raw = pem.encode("utf-8", "replace")
    if len(raw) > MAX_PEM_BYTES:
        raise PayloadKeyRefusedError(f"{len(raw)} bytes of PEM are more than the {MAX_PEM_BYTES} allowed.")
    try:
        if b"BEGIN CERTIFICATE" in raw:
            return Anchor(certificates=tuple(x509.load_pem_x509_certificates(raw)))
        key = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PayloadKeyRefusedError("The PEM holds neither a certificate nor a public key.") from error
    if isinstance(key, RSAPublicKey) and key.key_size >= RSA_MIN_BITS:
        return Anchor(key=key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return Anchor(key=key)
    raise PayloadKeyRefusedError(f"A key is RSA of at least {RSA_MIN_BITS} bits, or ECDSA on the curve P-256.")


def signed_by(signed: Signed | None) -> tuple[str, tuple[Signer, ...]]:
    """Return the kind of a signature (cms, raw, or empty without one) and whom it names, unchecked.

    Raises:
        PayloadSignatureError: it is no signature at all.
    """
    if signed is None:
        return "", ()
    if not signed.is_cms:
        return "raw", ()
    try:
        return "cms", tuple(_shown(one) for one in cms.parse(signed.signature).signer_certificates)
    except ValueError as error:  # parts of a certificate are parsed when they are asked for
        raise PayloadSignatureError("The certificate of a signer cannot be read.") from error


def verify(signed: Signed, anchors: Sequence[Anchor], *, at: datetime) -> int:
    """Return which of the anchors (from 0) a signature holds against.

    Raises:
        PayloadSignatureError: against none of them.
    """
    reasons = []
    for number, anchor in enumerate(anchors):
        try:
            _verify(signed, anchor, at=at)
            return number
        except PayloadSignatureError as error:
            reasons.append(error.message)
    raise PayloadSignatureError(" ".join(dict.fromkeys(reasons)))


def _verify(signed: Signed, anchor: Anchor, *, at: datetime) -> None:
    if anchor.key is None:
        if not signed.is_cms:
            raise PayloadSignatureError("The signature is a bare one; a certificate checks CMS.")
        cms.verify(cms.parse(signed.signature), signed.digest, anchor.certificates, at=at)
        return
    if signed.is_cms:
        raise PayloadSignatureError("The signature is CMS; a public key checks a bare one.")
    _verify_raw(signed.signature, signed.digest("sha256"), anchor.key)


def _verify_raw(signature: bytes, digest: bytes, key: PublicKey) -> None:
    if isinstance(key, EllipticCurvePublicKey):
        _verify_ecdsa(signature, digest, key)
        return
    # SWUpdate is built for one of the two paddings; which one, only its configuration knows.
    for padding in (PKCS1v15(), PSS(MGF1(hashes.SHA256()), PSS.AUTO)):
        try:
            key.verify(signature, digest, padding, _SHA256)
            return
        except InvalidSignature:
            continue
    raise PayloadSignatureError("The RSA signature does not hold against the configured key.")


def _verify_ecdsa(signature: bytes, digest: bytes, key: EllipticCurvePublicKey) -> None:
    if len(signature) != 64:  # r and s, 32 bytes each
        raise PayloadSignatureError(f"An ECDSA signature has 64 bytes here, not {len(signature)}.")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), digest, ECDSA(_SHA256))
    except InvalidSignature as error:
        raise PayloadSignatureError("The ECDSA signature does not hold against the configured key.") from error


def base64_signature(text: bytes) -> bytes:
    """Return the bytes of a signature written in base64 (Mender's manifest.sig).

    Raises:
        PayloadSignatureError: it is none.
    """
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise PayloadSignatureError("The signature is no base64.") from error


def _shown(certificate: x509.Certificate) -> Signer:
    return Signer(
        subject=_name(certificate.subject),
        issuer=_name(certificate.issuer),
        serial=f"{certificate.serial_number:x}",
        fingerprint=hashlib.sha256(certificate.public_bytes(cms.DER)).hexdigest(),
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
    )


def _name(name: x509.Name) -> str:
    # A name may hold anything; what is stored and shown is printable.
    return "".join(char if char.isprintable() else "?" for char in name.rfc4514_string())[:500]
