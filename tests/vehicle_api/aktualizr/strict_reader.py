"""A reader of aktualizr's metadata that follows that client's rules, and shares no code with what wrote it.

Where the client is more tolerant than is good (it takes JSON with duplicate keys, and one key twice), this is strict:
what passes here, it reads, and in the only way there is.
"""

import base64
import binascii
import fnmatch
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SMALL = 64 * 1024  # root, timestamp, snapshot, and the Director's targets
LARGE = 8 * 1024 * 1024  # targets and delegations of the Image repository
METHODS = {"ed25519", "rsassa-pss", "rsassa-pss-sha256"}
IGNORED_URI = "https://example.com/"
MAX_ROOTS = 1000
MAX_DEPTH = 5
Fetch = Callable[[str], bytes | None]


class Rejected(Exception):
    """The client takes nothing of the file, or of the whole update."""


def demand(condition: object, why: str) -> None:
    if not condition:
        raise Rejected(why)


def canonical(value: Any) -> bytes:
    """jsoncpp's compact writer: sorted keys, no spaces, everything beyond ASCII escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


@dataclass(frozen=True)
class File:
    """One file that was read, its signatures not looked at yet."""

    body: bytes
    signed: dict[str, Any]
    signatures: list[dict[str, Any]]

    @property
    def version(self) -> int:
        return int(self.signed["version"])


def read(body: bytes | None, kind: str, *, cap: int) -> File:
    """Read an envelope: canonical bytes, exact spelling of its type, its version and its expiry."""
    demand(body is not None, f"there is no {kind}")
    assert body is not None
    demand(len(body) <= cap, f"{kind} has {len(body)} bytes, of at most {cap}")
    demand(all(32 <= byte < 127 for byte in body), f"{kind} holds a byte that is not printable ASCII")
    envelope = _parse(body)
    demand(canonical(envelope) == body, f"{kind} is not in canonical form")
    demand(isinstance(envelope, dict) and set(envelope) == {"signatures", "signed"}, f"{kind} is no envelope")
    signed, signatures = envelope["signed"], envelope["signatures"]
    demand(isinstance(signed, dict) and isinstance(signatures, list), f"{kind} is no envelope")
    spelt = str(signed.get("_type"))
    demand(spelt.lower() == "root" if kind == "Root" else spelt == kind, f"the type is spelt {spelt}, not {kind}")
    version = signed.get("version")
    demand(type(version) is int and 1 <= version < 2**31, f"the version of {kind} is {version}")
    demand(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(signed.get("expires"))), f"{kind} has no expiry")
    return File(body, signed, signatures)


def _parse(body: bytes) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        demand(len(dict(pairs)) == len(pairs), "a key stands twice")
        return dict(pairs)

    def number(text: str) -> Any:
        raise Rejected(f"{text} is no integer")

    try:
        return json.loads(body, object_pairs_hook=unique, parse_float=number, parse_constant=number)
    except ValueError as error:
        raise Rejected("not JSON") from error


@dataclass(frozen=True)
class Role:
    keys: Mapping[str, Any]
    threshold: int


def roles_of(root: File) -> dict[str, Role]:
    """Read keys and roles of a root: one key of another kind, and all of it is rejected."""
    keys = {keyid: read_key(key) for keyid, key in root.signed["keys"].items()}
    found = {}
    for name, entry in root.signed["roles"].items():
        found[name] = _role(keys, entry["keyids"], entry["threshold"])
    demand({"root", "targets", "snapshot", "timestamp"} <= set(found), "the root does not describe all roles")
    return found


def _role(keys: Mapping[str, Any], keyids: list[str], threshold: object) -> Role:
    demand(type(threshold) is int and 1 <= threshold <= 1000, f"a threshold of {threshold}")
    demand(len(set(keyids)) == len(keyids) and set(keyids) <= set(keys), "a role with unknown keys")
    assert isinstance(threshold, int)
    return Role({keyid: keys[keyid] for keyid in keyids}, threshold)


def read_key(key: Any) -> Ed25519PublicKey | RSAPublicKey:
    kind, public = str(key["keytype"]).upper(), key["keyval"]["public"]
    if kind == "ED25519":
        demand(re.fullmatch(r"[0-9A-Fa-f]{64}", public), "an Ed25519 key is 64 hex digits")
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    demand(kind == "RSA" and public.startswith("-----BEGIN PUBLIC KEY-----\n"), f"a key of the type {kind}")
    loaded = load_pem_public_key(public.encode())
    demand(isinstance(loaded, RSAPublicKey) and loaded.key_size in (2048, 3072, 4096), "an RSA key of an odd size")
    assert isinstance(loaded, RSAPublicKey)
    return loaded


def verify(file: File, role: Role) -> None:
    """Count the distinct keys of the role that signed the canonical form of what is signed."""
    payload, signers = canonical(file.signed), set()
    for signature in file.signatures:
        demand(set(signature) == {"keyid", "method", "sig"}, "a signature without its method")
        demand(str(signature["method"]).lower() in METHODS, f"the method {signature['method']}")
        try:
            raw = base64.b64decode(signature["sig"], validate=True)
        except binascii.Error as error:
            raise Rejected("a signature that is not base64") from error
        key = role.keys.get(signature["keyid"])
        if key is not None and _holds(key, signature["method"].lower(), raw, payload):
            signers.add(signature["keyid"])
    demand(len(signers) >= role.threshold, f"{len(signers)} signatures of {role.threshold}")


def _holds(key: Ed25519PublicKey | RSAPublicKey, method: str, signature: bytes, payload: bytes) -> bool:
    try:
        if isinstance(key, Ed25519PublicKey):
            demand(method == "ed25519", f"an Ed25519 key with the method {method}")
            key.verify(signature, payload)
        else:
            demand(method != "ed25519", "an RSA key with the method ed25519")
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            key.verify(signature, payload, pss, hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def not_expired(file: File, now: datetime) -> None:
    # It compares them as texts.
    demand(file.signed["expires"] > now.strftime("%Y-%m-%dT%H:%M:%SZ"), f"expired at {file.signed['expires']}")


@dataclass
class Repository:
    """What the client keeps of one repository: its root, and the last file of each role."""

    fetch: Fetch
    root: File | None = None
    stored: dict[str, File] = field(default_factory=dict)

    def update_root(self, now: datetime) -> dict[str, Role]:
        """Walk from root to root, each signed by the keys of the one before and by its own; the first is trusted."""
        for number in range(self.root.version + 1 if self.root else 1, MAX_ROOTS):
            body = self.fetch(f"{number}.root.json")
            if body is None:
                break
            following = read(body, "Root", cap=SMALL)
            demand(following.version == number, f"{number}.root.json is version {following.version}")
            if self.root is not None:
                verify(following, roles_of(self.root)["root"])
                # Any new root clears all that is stored of the repository.
                self.stored.clear()
            verify(following, roles_of(following)["root"])
            self.root = following
        demand(self.root is not None, "there is no first root")
        assert self.root is not None
        not_expired(self.root, now)
        return roles_of(self.root)

    def take(self, name: str, kind: str, role: Role, *, cap: int, now: datetime) -> File:
        """Fetch the newest file of a role, which may not go back, nor change under one version."""
        file = read(self.fetch(f"{name}.json"), kind, cap=cap)
        verify(file, role)
        not_expired(file, now)
        last = self.stored.get(name)
        demand(last is None or file.version >= last.version, f"{name} goes back to {file.version}")
        same = last is not None and file.version == last.version
        demand(not same or (last is not None and last.body == file.body), f"{name} {file.version} has two contents")
        self.stored[name] = file
        return file


@dataclass(frozen=True)
class Ordered:
    """One target that the Director lists for ECUs of this vehicle; `path` is where its bytes are."""

    name: str
    length: int
    sha256: str
    ecus: Mapping[str, str]
    correlation: str
    path: str


def read_director(repository: Repository, ecus: Mapping[str, str], now: datetime) -> list[Ordered]:
    """Fetch roots and targets of the Director, and return what it lists for these ECUs (hardware ids by serial)."""
    roles = repository.update_root(now)
    signed = repository.take("targets", "Targets", roles["targets"], cap=SMALL, now=now).signed
    demand("delegations" not in signed, "the Director delegates")
    ordered, seen = [], set()
    for name, target in signed["targets"].items():
        named = {ecu: entry["hardwareId"] for ecu, entry in target["custom"]["ecuIdentifiers"].items()}
        for serial, hardware_id in named.items():
            demand(serial not in seen, f"ECU {serial} is listed twice")
            demand(ecus.get(serial) == hardware_id, f"ECU {serial} is no {hardware_id} of this vehicle")
            seen.add(serial)
        ordered.append(_ordered(name, target, named, str(signed["custom"].get("correlationId", ""))))
    return ordered


def _ordered(name: str, target: Any, named: Mapping[str, str], correlation: str) -> Ordered:
    length = target["length"]
    demand(type(length) is int and length >= 0, f"{name} has the length {length}")
    demand(length > 0 or target["custom"].get("targetFormat") == "BINARY", f"{name} would be taken for OSTree")
    demand(target["custom"].get("targetFormat", "BINARY") == "BINARY", f"{name} is no plain file")
    uri = target["custom"].get("uri", "")
    path = f"targets/{name}" if uri in ("", IGNORED_URI) else uri
    return Ordered(name, length, str(target["hashes"]["sha256"]), named, correlation, path)


def read_image(repository: Repository, wanted: list[Ordered], now: datetime) -> None:
    """Fetch the Image repository, in the client's order, and find every wanted target in it, exactly the same."""
    roles = repository.update_root(now)
    timestamp = repository.take("timestamp", "Timestamp", roles["timestamp"], cap=SMALL, now=now)
    entry = timestamp.signed["meta"]["snapshot.json"]
    demand(type(entry.get("length")) is int and entry["length"] <= SMALL, "the timestamp states no length")
    snapshot = repository.take("snapshot", "Snapshot", roles["snapshot"], cap=entry["length"], now=now)
    _match_snapshot(snapshot, entry)
    meta = snapshot.signed["meta"]
    targets = repository.take("targets", "Targets", roles["targets"], cap=LARGE, now=now)
    demand(meta["targets.json"]["version"] == targets.version, "another version of the targets than the snapshot's")
    for one in wanted:
        found = _find(repository, targets, meta, one, now=now, depth=0)
        demand(found is not None, f"the Image repository does not know {one.name}")
        _match_target(one, found)


def _match_snapshot(snapshot: File, entry: Mapping[str, Any]) -> None:
    demand(entry["version"] == snapshot.version, "another version of the snapshot than the timestamp's")
    demand(set(entry["hashes"]) & {"sha256", "sha512"}, "the timestamp states no hash")
    # Over the canonical form of the whole envelope, which is what is served.
    whole = canonical({"signatures": snapshot.signatures, "signed": snapshot.signed})
    demand(entry["length"] == len(whole), "another length of the snapshot than the timestamp's")
    for function, digest in entry["hashes"].items():
        demand(hashlib.new(function, whole).hexdigest() == digest.lower(), "another snapshot than the timestamp's")


def _find(
    repository: Repository, targets: File, meta: Mapping[str, Any], one: Ordered, *, now: datetime, depth: int
) -> Any:
    if one.name in targets.signed["targets"]:
        return targets.signed["targets"][one.name]
    delegations = targets.signed.get("delegations", {"keys": {}, "roles": []})
    keys = {keyid: read_key(key) for keyid, key in delegations["keys"].items()}
    for entry in delegations["roles"]:
        demand(re.fullmatch(r"[A-Za-z0-9._-]+", entry["name"]), f"{entry['name']} cannot stand in an address")
        # fnmatch(3) without flags: an asterisk goes on behind a slash.
        if depth >= MAX_DEPTH or not any(fnmatch.fnmatchcase(one.name, pattern) for pattern in entry["paths"]):
            continue
        role = _role(keys, entry["keyids"], entry["threshold"])
        path = f"delegations/{entry['name']}"
        delegated = repository.take(path, "Targets", role, cap=LARGE, now=now)
        stated = meta[f"{entry['name']}.json"]["version"]
        demand(stated == delegated.version, f"{entry['name']} in another version than the snapshot's")
        found = _find(repository, delegated, meta, one, now=now, depth=depth + 1)
        if found is not None or entry["terminating"]:
            return found
    return None


def _match_target(one: Ordered, found: Any) -> None:
    demand(found["length"] == one.length, f"{one.name} has two lengths")
    demand(found["hashes"].get("sha256") == one.sha256, f"{one.name} has two hashes")
    hardware_ids = found["custom"].get("hardwareIds")
    demand(hardware_ids, f"{one.name} names no hardware")
    for serial, hardware_id in one.ecus.items():
        demand(hardware_id in hardware_ids, f"{one.name} does not fit ECU {serial}")
