"""Bytes, keys and signatures: strict JSON in, canonical JSON out, and whether a key signed some bytes.

The canonical form is JSON with sorted keys and no spaces, of printable ASCII and integers only. Within these limits
OLPC canonical JSON (python-tuf), jsoncpp's compact writer (aktualizr) and `json.dumps` agree byte for byte; the one
exception is the line breaks of an RSA or ECDSA key in PEM, which OLPC leaves bare (`olpc`).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Signature, SSlibKey

from firmware_store.trust.errors import NotStrictJsonError

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1  # beyond it readers that keep numbers as doubles disagree
RSA_MIN_BITS = 2048
_CURVES = {"ecdsa-sha2-nistp256": SECP256R1, "ecdsa-sha2-nistp384": SECP384R1}
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END PUBLIC KEY-----\n?\Z")
_ED25519 = re.compile(r"[0-9a-f]{64}\Z")


def canonical(value: Any) -> bytes:
    """Return the canonical form of `value`.

    Raises:
        NotStrictJsonError: it holds a float, a string that is not printable ASCII, a key that is not a string, an
            integer beyond 2^53 - 1, or nests deeper than MAX_DEPTH.
    """
    if is_plain(value):
        # Of such values both write the same, and this one takes a tenth of the time.
        return canonical_unchecked(value)
    _check(value, MAX_DEPTH)
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def canonical_unchecked(value: Any) -> bytes:
    """Return the canonical form of what `canonical` has taken before, as JSON that was stored and is read again."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def is_plain(value: Any) -> bool:
    """Return whether this has a canonical form, and holds no key in PEM: what vehicles' metadata is made of.

    It looks at everything that `_check` looks at, all texts at once: metadata is signed for a vehicle at each change.
    """
    if type(value) is str:
        return _is_printable(value)
    layer, texts = [value], []
    for depth in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in layer:
            # By exact type, as in `_check`.
            kind = type(item)
            if kind is str:
                texts.append(item)
            elif kind is int:
                if not -MAX_INTEGER <= item <= MAX_INTEGER:
                    return False
            elif kind is dict or kind is list or kind is tuple:
                if depth == MAX_DEPTH:
                    return False
                if kind is dict:
                    texts.extend(item)
                    below.extend(item.values())
                else:
                    below.extend(item)
            elif item is not None and kind is not bool:
                return False
        layer = below
    return set(map(type, texts)) <= {str} and _is_printable("".join(texts))


def _is_printable(text: str) -> bool:
    """Return whether it is of printable ASCII alone."""
    return text.isascii() and text.isprintable()


def olpc(value: Any, *, text: bytes | None = None) -> bytes:
    """Return `value` in OLPC canonical JSON, which python-tuf signs: `canonical`, but for line breaks in PEM keys.

    `text` is its canonical form, where the caller has that already.

    Raises:
        NotStrictJsonError: as `canonical`.
    """
    text = canonical(value) if text is None else text
    return text if b"\\n" not in text else str(encode_canonical(value)).encode("ascii")


def strict_loads(data: bytes, max_bytes: int) -> dict[str, Any]:
    """Read a JSON object that every reader reads alike.

    Raises:
        NotStrictJsonError: too long, not UTF-8, a byte order mark, a duplicate key, a float, an integer beyond
            2^53 - 1, NUL or half a surrogate pair in a string, nesting beyond MAX_DEPTH, trailing data, no object.
    """
    if len(data) > max_bytes:
        raise NotStrictJsonError(f"{len(data)} bytes are more than the {max_bytes} allowed.")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except NotStrictJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise NotStrictJsonError(f"Not JSON: {type(error).__name__}.") from error
    if not isinstance(value, dict):
        raise NotStrictJsonError("Not a JSON object.")
    _check_read(value)
    return value


def keyid_of(public_key: Mapping[str, Any]) -> str:
    """Return the TUF key id: SHA-256 over the canonical key object of type, scheme and value (TUF 1.0, 4.2)."""
    return hashlib.sha256(olpc({name: public_key[name] for name in ("keytype", "scheme", "keyval")})).hexdigest()


def key_value(public_key: Mapping[str, Any]) -> str:
    """Return what makes this key itself, however it is written; for a key that `key_problem` finds nothing in."""
    text = str(public_key["keyval"]["public"])
    if public_key["keytype"] == "ed25519":
        return text
    return load_pem_public_key(text.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()


def verify(public_key: Mapping[str, Any], signature: bytes, data: bytes) -> bool:
    """Return whether the holder of the key signed `data`; a key of a kind that is not taken has signed nothing."""
    if key_problem(public_key, is_aktualizr_on=False) is not None:
        return False
    key = SSlibKey("", public_key["keytype"], public_key["scheme"], dict(public_key["keyval"]))
    try:
        key.verify_signature(Signature("", signature.hex()), data)
    except UnverifiedSignatureError:
        return False
    return True


def key_problem(public_key: object, *, is_aktualizr_on: bool = True) -> str | None:
    """Return why this cannot be a key in signed metadata, as a sentence, or None if it can."""
    if not isinstance(public_key, Mapping) or set(public_key) != {"keytype", "scheme", "keyval"}:
        return "A key is an object of keytype, scheme and keyval."
    keyval = public_key["keyval"]
    if not isinstance(keyval, Mapping) or set(keyval) != {"public"} or not isinstance(keyval["public"], str):
        return "A key's keyval is an object with the text public alone."
    kind, public = (str(public_key["keytype"]), str(public_key["scheme"])), keyval["public"]
    if kind == ("ed25519", "ed25519"):
        return None if _ED25519.match(public) else "An Ed25519 key is 64 lower-case hex digits."
    if kind == ("rsa", "rsassa-pss-sha256"):
        return _rsa_problem(public)
    if kind[0] == "ecdsa" and kind[1] in _CURVES:
        if is_aktualizr_on:
            return "ECDSA keys are taken only where the aktualizr profile is off: aktualizr rejects a root holding one."
        return _ecdsa_problem(public, kind[1])
    return f"Keys are Ed25519, RSA with rsassa-pss-sha256, or ECDSA on P-256 or P-384; {kind} is none of them."


def _rsa_problem(public: str) -> str | None:
    key = _pem_key(public)
    if not isinstance(key, RSAPublicKey):
        return "The RSA key is not a SubjectPublicKeyInfo in PEM."
    if key.key_size < RSA_MIN_BITS:
        return f"An RSA key has at least {RSA_MIN_BITS} bits; this one has {key.key_size}."
    return None


def _ecdsa_problem(public: str, scheme: str) -> str | None:
    key = _pem_key(public)
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES[scheme]):
        return f"The ECDSA key is not a SubjectPublicKeyInfo in PEM on the curve of {scheme}."
    return None


def _pem_key(public: str) -> object:
    if not _PEM.match(public):
        return None
    try:
        return load_pem_public_key(public.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None


def _check(value: Any, depth: int) -> None:
    """Refuse what has no canonical form. By exact type: a subclass of int or str could write itself differently."""
    kind = type(value)
    if kind is str:
        if not _is_printable(value) and not _PEM.match(value):
            raise NotStrictJsonError(f"{value[:80]!a} is not printable ASCII.")
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotStrictJsonError("An integer is beyond 2^53 - 1.")
    elif kind is dict or kind is list or kind is tuple:
        if depth == 0:
            raise NotStrictJsonError(f"It nests deeper than {MAX_DEPTH}.")
        if kind is dict:
            for key in value:
                if type(key) is not str or not _is_printable(key):
                    raise NotStrictJsonError(f"The key {key!a:.80} is not printable ASCII.")
            value = value.values()
        for item in value:
            _check(item, depth - 1)
    elif value is not None and kind is not bool:
        raise NotStrictJsonError(f"A {kind.__name__} has no canonical form.")


def _check_read(value: dict[str, Any]) -> None:
    layer: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        texts: list[str] = []
        below: list[Any] = []
        for container in layer:
            items = container
            if isinstance(container, dict):
                texts.extend(container)
                items = container.values()
            for item in items:
                if isinstance(item, str):
                    texts.append(item)
                elif isinstance(item, dict | list):
                    below.append(item)
                elif type(item) is int and not -MAX_INTEGER <= item <= MAX_INTEGER:
                    raise NotStrictJsonError("An integer is beyond 2^53 - 1.")
        if any("\0" in text or not _is_unicode(text) for text in texts):
            raise NotStrictJsonError("A string holds NUL or half a surrogate pair.")
        if not below:
            return
        layer = below
    raise NotStrictJsonError(f"It nests deeper than {MAX_DEPTH}.")


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictJsonError("An object has the same key twice.")
    return found


def _refuse_number(text: str) -> NoReturn:
    raise NotStrictJsonError(f"{text[:40]} is not an integer.")
