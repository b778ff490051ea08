"""The two forms of signed metadata: `tuf-1.0` (TUF 1.0.31) and `aktualizr` (that client's own).

They state the same content in different words, and are signed separately, since the words are what is signed:

| | tuf-1.0 | aktualizr |
|---|---|---|
| `_type` | lower case | capitalised |
| `spec_version` | 1.0.31 | absent |
| `consistent_snapshot` | true | false |
| key | keytype, scheme, keyval | ED25519 or RSA, no scheme |
| signature | hex | base64, with its method |
| signed bytes | OLPC canonical JSON | compact sorted JSON |

Both are stored and served as their canonical bytes: aktualizr hashes the canonical form, python-tuf what it gets.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from firmware_store.states import Profile
from firmware_store.trust import primitives, reading
from firmware_store.trust.contents import PublicKey, RoleKeys, RootContent, TargetsContent
from firmware_store.trust.errors import (
    KeyRefusedError,
    MetadataMalformedError,
    MetadataProfilesError,
    MetadataSignatureError,
    NotStrictJsonError,
)

SPEC_VERSION = "1.0.31"
ROOT_MAX_BYTES = 64 * 1024  # aktualizr's limit; python-tuf reads 512,000
TARGETS_MAX_BYTES = 5_000_000  # python-tuf's limit; aktualizr reads 8 MiB
MAX_SIGNATURES = 64
_SPEC_VERSION = re.compile(r"1\.0\.[0-9]{1,3}\Z")
_AKTUALIZR_KEYS = {"ED25519": ("ed25519", "ed25519"), "RSA": ("rsa", "rsassa-pss-sha256")}
_AKTUALIZR_METHODS = {"ed25519": "ed25519", "rsa": "rsassa-pss-sha256"}

Content = TypeVar("Content", RootContent, TargetsContent)


@dataclass(frozen=True)
class Envelope(Generic[Content]):
    """One signed body, read: what it states, the bytes that were signed, the signatures (with methods) by key id."""

    profile: Profile
    content: Content
    payload: bytes
    signatures: Mapping[str, tuple[str, bytes]]


def header(kind: str, *, version: int, expires_at: datetime, profile: str) -> dict[str, Any]:
    """Return the fields that every signed body begins with."""
    common = {"version": version, "expires": reading.utc_text(expires_at)}
    if profile == Profile.TUF:
        return common | {"_type": kind, "spec_version": SPEC_VERSION}
    return common | {"_type": kind.capitalize()}


def signed_bytes(signed: Mapping[str, Any], profile: str) -> bytes:
    """Return the bytes of a body that are signed in this profile.

    Raises:
        NotStrictJsonError: the body has no canonical form.
    """
    return primitives.olpc(signed) if profile == Profile.TUF else primitives.canonical(signed)


def seal(body: bytes, profile: str, *, keyid: str, keytype: str, signature: bytes) -> bytes:
    """Return the canonical envelope of a body, itself in canonical form, with its one signature."""
    # Hex digits, base64 and words: nothing here has to be escaped.
    said = f'"sig":"{signature.hex()}"'
    if profile == Profile.AKTUALIZR:
        said = f'"method":"{_AKTUALIZR_METHODS[keytype]}","sig":"{base64.b64encode(signature).decode()}"'
    return f'{{"signatures":[{{"keyid":"{keyid}",{said}}}],"signed":'.encode() + body + b"}"


def read_root(body: bytes, profile: Profile, *, is_aktualizr_on: bool) -> Envelope[RootContent]:
    """Read a signed root; its signatures are not checked yet.

    Raises:
        MetadataMalformedError, KeyRefusedError, KeySharedError: it breaks a rule that all roots keep.
    """
    signed, signatures = _opened(body, profile, "root", ROOT_MAX_BYTES)
    names = [*_header_names(profile), "consistent_snapshot", "keys", "roles"]
    reading.fields(signed, names, "root")
    if signed["consistent_snapshot"] is not (profile == Profile.TUF):
        raise MetadataMalformedError("consistent_snapshot has to be true in tuf-1.0 and false in aktualizr.")
    keys = _keys(signed["keys"], profile, is_aktualizr_on)
    content = RootContent(
        version=_version(signed),
        expires_at=reading.time(signed["expires"], "expiry"),
        roles=reading.root_roles(signed, keys),
    )
    return Envelope(profile, content, signed_bytes(signed, profile), signatures)


def read_targets(body: bytes, profile: Profile, *, is_aktualizr_on: bool) -> Envelope[TargetsContent]:
    """Read signed targets, top-level or delegated; signatures are not checked yet.

    Raises:
        MetadataMalformedError, KeyRefusedError, KeySharedError, DelegationRefusedError: it breaks a rule that all keep.
    """
    signed, signatures = _opened(body, profile, "targets", TARGETS_MAX_BYTES)
    reading.fields(signed, [*_header_names(profile), "targets"], "targets", optional=["delegations"])
    delegations = None
    if "delegations" in signed:
        value = reading.fields(signed["delegations"], ("keys", "roles"), "delegations")
        delegations = reading.delegations(value, _keys(value["keys"], profile, is_aktualizr_on))
    targets = reading.typed(signed["targets"], dict, "list of targets")
    content = TargetsContent(
        version=_version(signed),
        expires_at=reading.time(signed["expires"], "expiry"),
        targets={name: reading.target(entry, name) for name, entry in targets.items()},
        delegations=delegations,
    )
    return Envelope(profile, content, signed_bytes(signed, profile), signatures)


def agreed_content(envelopes: list[Envelope[Content]]) -> Content:
    """Return what all profiles state.

    Raises:
        MetadataProfilesError: they state different things.
    """
    first = envelopes[0]
    for other in envelopes[1:]:
        if other.content != first.content or _order(other.content) != _order(first.content):
            raise MetadataProfilesError(f"The bodies for {first.profile} and {other.profile} state different things.")
    return first.content


def require_signatures(
    envelope: Envelope[Content], role: RoleKeys, *, also: Mapping[str, PublicKey] | None = None
) -> None:
    """Check that enough distinct keys of the role signed, and that every signature is by a key of it (or `also`).

    Counted are key values, not key ids: one key under two ids signs once (Uptane 5.4.4.3: "unique keys").

    Raises:
        MetadataSignatureError: too few, or one that is unknown or wrong.
    """
    known = {**(also or {}), **role.keys}
    signers = set()
    for keyid, (method, signature) in envelope.signatures.items():
        key = known.get(keyid)
        if key is None or not _is_valid(envelope, key, method, signature):
            raise MetadataSignatureError(
                f"The signature of key {keyid[:16]!a} is wrong, or it is not a key of this role ({envelope.profile}).",
                keyid=keyid,
            )
        if keyid in role.keys:
            signers.add(primitives.key_value(key))
    if len(signers) < role.threshold:
        raise MetadataSignatureError(
            f"{len(signers)} of the role's keys signed, {role.threshold} have to ({envelope.profile}).",
            signed=len(signers),
            threshold=role.threshold,
        )


def _is_valid(envelope: Envelope[Content], key: PublicKey, method: str, signature: bytes) -> bool:
    if envelope.profile == Profile.AKTUALIZR and method != _AKTUALIZR_METHODS[key["keytype"]]:
        return False
    return primitives.verify(key, signature, envelope.payload)


def _order(content: RootContent | TargetsContent) -> list[str]:
    """Delegations rank by their order, which a comparison of mappings passes over."""
    return list(content.delegations or ()) if isinstance(content, TargetsContent) else []


def _opened(
    body: bytes, profile: Profile, kind: str, max_bytes: int
) -> tuple[Mapping[str, Any], dict[str, tuple[str, bytes]]]:
    try:
        envelope = primitives.strict_loads(body, max_bytes)
        is_canonical = primitives.canonical(envelope) == body
    except NotStrictJsonError as error:
        raise MetadataMalformedError(f"The {kind} for {profile}: {error}") from error
    if not is_canonical:
        raise MetadataMalformedError(f"The {kind} for {profile} is not in canonical form (sorted keys, no spaces).")
    reading.fields(envelope, ("signatures", "signed"), "envelope")
    signed = reading.typed(envelope["signed"], dict, "signed part")
    if signed.get("_type") != (kind if profile == Profile.TUF else kind.capitalize()):
        raise MetadataMalformedError(f"The _type is not that of a {kind} in {profile}.")
    if profile == Profile.TUF and not _SPEC_VERSION.match(str(signed.get("spec_version"))):
        raise MetadataMalformedError("The spec_version is not 1.0.x.")
    return signed, _signatures(envelope["signatures"], profile)


def _header_names(profile: Profile) -> list[str]:
    return ["_type", "version", "expires"] + (["spec_version"] if profile == Profile.TUF else [])


def _version(signed: Mapping[str, Any]) -> int:
    return reading.integer(signed["version"], "version", lowest=1, highest=reading.MAX_VERSION)


def _signatures(value: object, profile: Profile) -> dict[str, tuple[str, bytes]]:
    entries = reading.typed(value, list, "list of signatures")
    if not 1 <= len(entries) <= MAX_SIGNATURES:
        raise MetadataMalformedError(f"There are {len(entries)} signatures, not 1 to {MAX_SIGNATURES}.")
    found: dict[str, tuple[str, bytes]] = {}
    names = ("keyid", "sig") if profile == Profile.TUF else ("keyid", "method", "sig")
    for entry in entries:
        reading.fields(entry, names, "signature")
        keyid, text = reading.typed(entry["keyid"], str, "key id"), reading.typed(entry["sig"], str, "signature")
        if keyid in found:
            raise MetadataMalformedError("One key id signed twice.")
        try:
            raw = bytes.fromhex(text) if profile == Profile.TUF else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error) as error:
            raise MetadataMalformedError(f"The signature of {keyid[:16]!a} is not in the form of {profile}.") from error
        found[keyid] = (reading.typed(entry.get("method", ""), str, "method"), raw)
    return found


def _keys(value: object, profile: Profile, is_aktualizr_on: bool) -> dict[str, PublicKey]:
    keys = reading.typed(value, dict, "list of keys")
    if profile == Profile.AKTUALIZR:
        keys = {keyid: _from_aktualizr(key) for keyid, key in keys.items()}
    reading.check_keys(keys, is_aktualizr_on=is_aktualizr_on)
    return keys


def _from_aktualizr(value: object) -> PublicKey:
    key = reading.fields(value, ("keytype", "keyval"), "key")
    kind = _AKTUALIZR_KEYS.get(str(key["keytype"]))
    if kind is None:
        raise KeyRefusedError(f"aktualizr takes ED25519 and RSA keys; {key['keytype']!a:.40} is neither.")
    return {"keytype": kind[0], "scheme": kind[1], "keyval": key["keyval"]}
