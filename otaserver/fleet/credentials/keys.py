"""Public keys of ECUs, as TUF key objects (TUF specification 4.2)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
_SCHEMES = {"ed25519": "ed25519", "rsa": "rsassa-pss-sha256"}
_ED25519_HEX = re.compile(r"[0-9a-f]{64}\Z")


def key_problem(key: Mapping[str, Any]) -> str | None:
    """Return why `key` is no ECU key, as a sentence, or None if it is one.

    A key is accepted in one spelling only, so that two spellings of it cannot pass for two keys.
    """
    keytype, keyval = key.get("keytype"), key.get("keyval")
    if set(key) != {"keytype", "scheme", "keyval"} or not isinstance(keyval, Mapping) or set(keyval) != {"public"}:
        return 'A key is {"keytype", "scheme", "keyval": {"public"}} and nothing else.'
    if not isinstance(keytype, str) or keytype not in _SCHEMES or key["scheme"] != _SCHEMES[keytype]:
        pairs = " or ".join(f"{known} with {scheme}" for known, scheme in _SCHEMES.items())
        return f"A key is {pairs}, not {str(keytype)[:40]!r} with {str(key['scheme'])[:40]!r}."
    public = keyval["public"]
    if not isinstance(public, str):
        return "A key's public part is a string."
    if keytype == "ed25519":
        return None if _ED25519_HEX.match(public) else "An Ed25519 public key is 64 lower-case hex digits."
    return _rsa_problem(public)


def _rsa_problem(pem: str) -> str | None:
    refusal = f"An RSA public key is a PEM SubjectPublicKeyInfo of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits."
    if len(pem) > 4096:
        return refusal
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return refusal
    if not isinstance(key, RSAPublicKey) or not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        return refusal
    spelt = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return None if pem.rstrip("\n") == spelt.rstrip("\n") else "An RSA public key is in the PEM form OpenSSL writes."


def keyid_of(key: Mapping[str, Any]) -> str:
    """Return the key id: SHA-256 over the key object in OLPC canonical JSON, as python-tuf computes it."""
    public = str(key["keyval"]["public"]).replace("\\", "\\\\").replace('"', '\\"')
    canonical = f'{{"keytype":"{key["keytype"]}","keyval":{{"public":"{public}"}},"scheme":"{key["scheme"]}"}}'
    return hashlib.sha256(canonical.encode()).hexdigest()
