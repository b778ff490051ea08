"""Signed metadata of both profiles: built, signed, read back and verified. Pure; knows no files and no server.

`tuf-1.0` is what python-tuf and every TUF client read; `aktualizr` is the form of the C++ client, which differs in
names, key objects and the encoding of signatures. The two bodies differ, so each is signed on its own.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from securesystemslib.exceptions import FormatError, UnverifiedSignatureError, VerificationError
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Key, Signature, SSlibKey

from clients.publisher.errors import InputError, TrustError

TUF = "tuf-1.0"
AKTUALIZR = "aktualizr"
PROFILES = (TUF, AKTUALIZR)
SPEC_VERSION = "1.0.31"
MAX_BODY_BYTES = 8 * 1024 * 1024  # what aktualizr takes of a targets file

Signing = Callable[[bytes], Sequence[Signature]]


@dataclass(frozen=True)
class RoleKeys:
    """The keys of one role and how many of them must sign."""

    keys: tuple[Key, ...]
    threshold: int

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.keys):
            raise InputError(
                f"A threshold of {self.threshold} does not fit {len(self.keys)} key(s).", code="keys.threshold"
            )


@dataclass(frozen=True)
class Delegation:
    """One release role: who signs for it. It may only name targets under `<name>/`."""

    name: str
    keys: RoleKeys


@dataclass(frozen=True)
class Document:
    """One verified version of one role's metadata."""

    version: int
    expires_at: datetime
    signed: Mapping[str, Any]


def root_body(profile: str, *, version: int, expires_at: datetime, roles: Mapping[str, RoleKeys]) -> dict[str, Any]:
    """Return the `signed` part of a root: the keys and thresholds of the four top-level roles."""
    return {
        **_head(profile, "root", version, expires_at),
        "consistent_snapshot": profile == TUF,
        "keys": _key_objects(profile, (key for role in roles.values() for key in role.keys)),
        "roles": {
            name: {"keyids": sorted(key.keyid for key in role.keys), "threshold": role.threshold}
            for name, role in roles.items()
        },
    }


def targets_body(
    profile: str,
    *,
    version: int,
    expires_at: datetime,
    targets: Mapping[str, Any],
    delegations: Sequence[Delegation] | None = None,
) -> dict[str, Any]:
    """Return the `signed` part of a targets file; `delegations` is for the top-level one only."""
    body = {**_head(profile, "targets", version, expires_at), "targets": dict(targets)}
    if delegations is not None:
        body["delegations"] = {
            "keys": _key_objects(profile, (key for each in delegations for key in each.keys.keys)),
            "roles": [
                {
                    "name": each.name,
                    "keyids": sorted(key.keyid for key in each.keys.keys),
                    "threshold": each.keys.threshold,
                    "paths": [f"{each.name}/*"],
                    "terminating": False,
                }
                for each in delegations
            ],
        }
    return body


def target_entry(
    *,
    length: int,
    sha256: str,
    sha512: str,
    name: str,
    version: str,
    hardware_ids: Iterable[str],
    release_counter: int,
) -> dict[str, Any]:
    """Return the entry of one package in its role's targets; the same in both profiles."""
    return {
        "length": length,
        "hashes": {"sha256": sha256, "sha512": sha512},
        "custom": {
            "hardwareIds": sorted(hardware_ids),
            "name": name,
            "releaseCounter": release_counter,
            "targetFormat": "BINARY",
            "version": version,
        },
    }


def sealed(profile: str, body: Mapping[str, Any], signing: Signing) -> bytes:
    """Return the signed envelope in the one form in which it is served.

    Raises:
        InputError: the body holds a float, or a character beyond printable ASCII, which clients would read differently.
    """
    signatures = [_signature_object(profile, each) for each in signing(signed_bytes(profile, body))]
    return _compact({"signatures": signatures, "signed": body})


def signed_bytes(profile: str, body: Mapping[str, Any]) -> bytes:
    """Return the bytes that a signature covers: OLPC canonical JSON for TUF, compact sorted JSON for aktualizr.

    For Ed25519 keys the two coincide; PEM keys hold newlines, which the two write differently.
    """
    _require_plain(body)
    if profile == TUF:
        return str(encode_canonical(dict(body))).encode("ascii")
    return _compact(body)


def opened(profile: str, data: bytes, role: RoleKeys) -> Document:
    """Return what `data` says, after checking that a threshold of the role's keys has signed it.

    Raises:
        TrustError: it is not signed metadata, or not by enough distinct keys of the role.
    """
    try:
        envelope = json.loads(data)
        body, signatures = envelope["signed"], envelope["signatures"]
        good = {
            key.keyid
            for each in signatures
            for key in role.keys
            if key.keyid == each["keyid"] and _is_good(profile, key, each["sig"], body)
        }
        document = Document(version=int(body["version"]), expires_at=parse_time(body["expires"]), signed=body)
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise TrustError(
            f"The server's {profile} metadata cannot be read: {error}.", code="trust.unreadable"
        ) from error
    if len(good) < role.threshold:
        raise TrustError(
            f"The server's {profile} metadata carries {len(good)} good signature(s) of the keys at hand, "
            f"and {role.threshold} are needed.",
            code="trust.signature",
        )
    return document


def format_time(at: datetime) -> str:
    """Return `at` to the second in UTC, in the only form that every client takes."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def public_key(value: object) -> Key:
    """Return the key that an object of keytype, scheme and keyval describes, under its TUF key id (TUF 1.0, 4.2).

    Raises:
        InputError: it is no such object.
    """
    try:
        fields = {name: value[name] for name in ("keytype", "scheme", "keyval")}  # type: ignore[index]
        keyid = hashlib.sha256(str(encode_canonical(fields)).encode("ascii")).hexdigest()
        return SSlibKey.from_dict(keyid, fields)
    except (KeyError, TypeError, ValueError, FormatError) as error:
        raise InputError(f"{value!r} is no key of keytype, scheme and keyval.", code="keys.unreadable") from error


def key_object(profile: str, key: Key) -> dict[str, Any]:
    """Return the public key as the profile writes it.

    Raises:
        InputError: the key is of a type that clients of the profile cannot read.
    """
    if profile == TUF:
        return {"keytype": key.keytype, "scheme": key.scheme, "keyval": {"public": key.keyval["public"]}}
    if key.keytype not in ("ed25519", "rsa"):
        # aktualizr rejects a whole root that holds any other key type (wire/uptane.md 2.2).
        raise InputError(f"aktualizr cannot read {key.keytype} keys; use ed25519 or rsa.", code="keys.unsupported")
    return {"keytype": key.keytype.upper(), "keyval": {"public": key.keyval["public"]}}


def _head(profile: str, kind: str, version: int, expires_at: datetime) -> dict[str, Any]:
    head: dict[str, Any] = {"_type": kind, "version": version, "expires": format_time(expires_at)}
    if profile == TUF:
        return {**head, "spec_version": SPEC_VERSION}
    return {**head, "_type": kind.capitalize()}


def _key_objects(profile: str, keys: Iterable[Key]) -> dict[str, Any]:
    return {key.keyid: key_object(profile, key) for key in keys}


def _signature_object(profile: str, signature: Signature) -> dict[str, str]:
    if profile == TUF:
        return {"keyid": signature.keyid, "sig": signature.signature}
    raw = bytes.fromhex(signature.signature)
    # An Ed25519 signature is 64 bytes; no RSA key worth having makes one that short.
    method = "ed25519" if len(raw) == 64 else "rsassa-pss-sha256"
    return {"keyid": signature.keyid, "method": method, "sig": base64.b64encode(raw).decode("ascii")}


def _is_good(profile: str, key: Key, encoded: str, body: Mapping[str, Any]) -> bool:
    try:
        raw = bytes.fromhex(encoded) if profile == TUF else base64.b64decode(encoded, validate=True)
        key.verify_signature(Signature(key.keyid, raw.hex()), signed_bytes(profile, body))
    except (UnverifiedSignatureError, VerificationError, binascii.Error, ValueError):
        return False
    return True


def _compact(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _require_plain(value: Any) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _require_plain(name)
            _require_plain(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _require_plain(inner)
    elif isinstance(value, str):
        odd = next((char for char in value if not " " <= char <= "~" and char != "\n"), None)
        if odd is not None:
            raise InputError(f"Signed metadata takes printable ASCII only; {value!r} holds {odd!r}.", code="input.text")
    elif isinstance(value, float):
        raise InputError(f"Signed metadata takes no fractions; got {value}.", code="input.number")
