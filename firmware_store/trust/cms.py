"""CMS SignedData (RFC 5652) with the checks that RAUC and SWUpdate leave to OpenSSL: signature, chain, time.

Certificates are trusted when they are configured, or issued by one that is, through at most MAX_CHAIN authorities.
Purposes of a certificate (emailProtection, codeSigning) are the client's configuration and are not checked here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asn1crypto import cms as asn1
from asn1crypto.core import Asn1Value, Void
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from firmware_store.trust.errors import PayloadSignatureError

DER = Encoding.DER
MAX_BYTES = 1024 * 1024
MAX_CERTIFICATES = 16
MAX_SIGNERS = 8
MAX_CHAIN = 8
# SHA-1 and older prove nothing any more, though old clients still take them.
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
# What asn1crypto and cryptography raise over malformed input.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, UnsupportedAlgorithm)
Digest = Callable[[str], bytes]


@dataclass(frozen=True)
class SignedData:
    """A parsed message: its content where it carries that, who signed it, and the certificates that came along."""

    content: bytes | None
    content_type: str
    signers: tuple[Any, ...]
    certificates: tuple[x509.Certificate, ...]

    @property
    def signer_certificates(self) -> tuple[x509.Certificate, ...]:
        found = [_certificate_of(one, self.certificates) for one in self.signers]
        return tuple(one for one in found if one is not None)


def parse(message: bytes) -> SignedData:
    """Read a message in DER (or BER).

    Raises:
        PayloadSignatureError: it is no CMS SignedData, or holds more signers or certificates than any package needs.
    """
    if len(message) > MAX_BYTES:
        raise PayloadSignatureError(f"The signature has {len(message)} bytes; {MAX_BYTES} are the most.")
    try:
        return _parse(message)
    except _UNREADABLE as error:
        raise PayloadSignatureError(f"The signature is no CMS: {type(error).__name__}.") from error


def verify(message: SignedData, digest: Digest, trusted: Sequence[x509.Certificate], *, at: datetime) -> None:
    """Check that every signer of a message signed the content with this digest and is trusted at that time.

    Raises:
        PayloadSignatureError: one did not, or is not.
    """
    if not message.signers:
        raise PayloadSignatureError("The CMS message is signed by nobody.")
    try:
        for signer in message.signers:
            certificate = _certificate_of(signer, (*message.certificates, *trusted))
            if certificate is None:
                raise PayloadSignatureError("The certificate of a signer is neither in the file nor configured.")
            _check_signature(signer, message.content_type, digest, certificate)
            _check_chain(certificate, message.certificates, trusted, at=at)
    except _UNREADABLE as error:
        raise PayloadSignatureError(f"The signature cannot be checked: {type(error).__name__}.") from error


def _parse(message: bytes) -> SignedData:
    info = asn1.ContentInfo.load(message, strict=True)
    if info["content_type"].native != "signed_data":
        raise PayloadSignatureError(f"The CMS message is {info['content_type'].native!a:.60}, not signed data.")
    data = info["content"]
    certificates = [] if isinstance(data["certificates"], Void) else list(data["certificates"])
    signers = list(data["signer_infos"])
    if len(certificates) > MAX_CERTIFICATES or len(signers) > MAX_SIGNERS:
        raise PayloadSignatureError(f"{len(certificates)} certificates and {len(signers)} signers are too many.")
    inner = data["encap_content_info"]
    content = inner["content"]
    return SignedData(
        content=None if isinstance(content, Void) else bytes(content.native),
        content_type=inner["content_type"].dotted,
        signers=tuple(signers),
        certificates=tuple(x509.load_der_x509_certificate(one.chosen.dump()) for one in certificates),
    )


def _certificate_of(signer: Any, certificates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    try:
        return next((one for one in certificates if _is_named(signer["sid"], one)), None)
    except _UNREADABLE as error:
        raise PayloadSignatureError(f"A signer's name cannot be read: {type(error).__name__}.") from error


def _is_named(sid: Any, certificate: x509.Certificate) -> bool:
    if sid.name == "issuer_and_serial_number":
        issuer, serial = sid.chosen["issuer"].dump(), sid.chosen["serial_number"].native
        return bool(serial == certificate.serial_number and issuer == certificate.issuer.public_bytes())
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return False
    return bool(extension.value.digest == sid.chosen.native)


def _check_signature(signer: Any, content_type: str, digest: Digest, certificate: x509.Certificate) -> None:
    algorithm = signer["digest_algorithm"]["algorithm"].native
    if algorithm not in _HASHES:
        raise PayloadSignatureError(f"The signature is made with {algorithm!a:.40}; {', '.join(_HASHES)} are taken.")
    attributes = signer["signed_attrs"]
    if isinstance(attributes, Void) or not len(attributes):
        raise PayloadSignatureError("The signature has no signed attributes, which RAUC and SWUpdate always write.")
    stated = {one["type"].native: list(one["values"]) for one in attributes}
    if [one.native for one in stated.get("message_digest", [])] != [digest(algorithm)]:
        raise PayloadSignatureError("The signature is for other content.")
    if [one.dotted for one in stated.get("content_type", [])] != [content_type]:
        raise PayloadSignatureError("The signature is for another type of content.")
    # Signed as a SET OF, though it stands in the message under an implicit tag (RFC 5652, 5.4).
    signed = b"\x31" + _der(attributes)[1:]
    try:
        _check_with(certificate.public_key(), signer["signature"].native, signed, signer, _HASHES[algorithm]())
    except InvalidSignature as error:
        raise PayloadSignatureError("The signature does not hold against its signer's key.") from error


def _der(value: Asn1Value) -> bytes:
    return bytes(value.dump())


def _check_with(key: object, signature: bytes, signed: bytes, signer: Any, hashed: hashes.HashAlgorithm) -> None:
    if isinstance(key, RSAPublicKey):
        is_pss = signer["signature_algorithm"]["algorithm"].native == "rsassa_pss"
        key.verify(signature, signed, PSS(MGF1(hashed), PSS.AUTO) if is_pss else PKCS1v15(), hashed)
    elif isinstance(key, EllipticCurvePublicKey):
        key.verify(signature, signed, ECDSA(hashed))
    elif isinstance(key, Ed25519PublicKey):
        key.verify(signature, signed)
    else:
        raise PayloadSignatureError(f"The signer's key is of a kind that is not taken: {type(key).__name__}.")


def _check_chain(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    *,
    at: datetime,
) -> None:
    """Go from a certificate to its issuers, each looked at once, until one of them is trusted."""
    seen = {certificate}
    layer = [certificate]
    for depth in range(MAX_CHAIN):
        valid = [one for one in layer if one.not_valid_before_utc <= at <= one.not_valid_after_utc]
        if any(one in trusted for one in valid):
            return
        above = {parent for one in valid for parent in (*others, *trusted) if _issued(parent, one, depth)} - seen
        seen |= above
        layer = list(above)
    shown = certificate.subject.rfc4514_string()[:200]
    raise PayloadSignatureError(f"The signer {shown!a} is not trusted on {at:%Y-%m-%d} by what is configured.")


def _issued(issuer: x509.Certificate, subject: x509.Certificate, depth: int) -> bool:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    if not constraints.ca or (constraints.path_length is not None and constraints.path_length < depth):
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
