"""What people do with their offline keys, in memory: roots, targets and release roles, signed for both profiles."""

import base64
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.signer import CryptoSigner

from firmware_store import operations
from firmware_store.models import Package
from firmware_store.states import Profile, Repository
from firmware_store.trust import operations as trust
from firmware_store.trust import primitives, profiles, queries
from otaserver.tenants.models import Tenant
from tests.factories import NOON

YEAR, HALF_A_YEAR = timedelta(days=365), timedelta(days=180)
Bodies = dict[Profile, bytes]
METHODS = {"ed25519": "ed25519", "rsa": "rsassa-pss-sha256"}


def new_keys(count: int = 1) -> list[CryptoSigner]:
    return [CryptoSigner.generate_ed25519() for _ in range(count)]


def sign(signed: Mapping[str, Any], profile: Profile, signers: Sequence[CryptoSigner]) -> bytes:
    """Return the envelope of a body in the words of its profile already."""
    entries = []
    for signer in signers:
        signature = signer.sign(profiles.signed_bytes(signed, profile))
        entry = {"keyid": signature.keyid, "sig": signature.signature}
        if profile == Profile.AKTUALIZR:
            raw = base64.b64encode(bytes.fromhex(signature.signature)).decode()
            entry = {"keyid": signature.keyid, "method": METHODS[signer.public_key.keytype], "sig": raw}
        entries.append(entry)
    return primitives.canonical({"signatures": entries, "signed": signed})


def key_object(public_key: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    if profile == Profile.TUF:
        return dict(public_key)
    return {"keytype": public_key["keytype"].upper(), "keyval": public_key["keyval"]}


def role_entry(public_keys: Sequence[Mapping[str, Any]], threshold: int = 1) -> dict[str, Any]:
    return {"keyids": [primitives.keyid_of(key) for key in public_keys], "threshold": threshold}


def target_entry(package: Package, content: bytes, **changes: Any) -> dict[str, Any]:
    custom = {
        "hardwareIds": sorted(package.hardware_ids),
        "releaseCounter": package.release_counter,
        "name": package.name,
        "version": package.version,
        "targetFormat": "BINARY",
    }
    hashes = {"sha256": hashlib.sha256(content).hexdigest(), "sha512": hashlib.sha512(content).hexdigest()}
    entry = {"length": len(content), "hashes": hashes, "custom": custom | changes.pop("custom", {})}
    return entry | changes


def resigned(
    bodies: Mapping[Profile, bytes],
    signers: Sequence[CryptoSigner],
    change: Callable[[dict[str, Any]], object],
    only: Profile | None = None,
) -> Bodies:
    """Return the bodies changed (in one profile, or in all) and signed again: what a wrong or hostile signer sends."""
    changed = dict(bodies)
    for profile in [only] if only else bodies:
        signed = json.loads(bodies[profile])["signed"]
        change(signed)
        changed[profile] = sign(signed, profile, signers)
    return changed


class Ceremony:
    """The offline keys of one tenant and what they have signed so far.

    `establish` makes the whole trust; `publish` then does what a release engineer does.
    """

    def __init__(
        self,
        tenant: Tenant,
        *,
        at: datetime = NOON,
        roles: Sequence[str] = ("supplier",),
        keys_per_role: int = 1,
        threshold: int = 1,
        used_profiles: Sequence[Profile] = (Profile.TUF, Profile.AKTUALIZR),
    ) -> None:
        self.tenant, self.at, self.profiles, self.threshold = tenant, at, tuple(used_profiles), threshold
        names = ["image root", "director root", "image targets", *roles]
        self.keys = {name: new_keys(keys_per_role) for name in names}
        self.roles = list(roles)
        self.entries: dict[str, dict[str, Any]] = {role: {} for role in roles}

    def establish(self) -> "Ceremony":
        """Publish both first roots and the first targets; release roles are delegated, and list nothing yet."""
        trust.create_online_keys(self.tenant, at=self.at)
        trust.publish_root(self.tenant, Repository.DIRECTOR, self.root("director"), by="alice", at=self.at)
        trust.publish_root(self.tenant, Repository.IMAGE, self.root("image"), by="alice", at=self.at)
        trust.publish_targets(self.tenant, "targets", self.targets(), expected_version=0, by="alice", at=self.at)
        return self

    def public(self, name: str) -> list[Mapping[str, Any]]:
        return [signer.public_key.to_dict() for signer in self.keys[name]]

    def root_roles(self, repository: str) -> dict[str, tuple[list[Mapping[str, Any]], int]]:
        """Return (keys, threshold) per role; a test changes this before it signs."""
        online = queries.online_keys(self.tenant, repository)
        roles = {role: ([key], 1) for role, key in online.items()}
        roles["root"] = (self.public(f"{repository} root"), self.threshold)
        if repository == Repository.IMAGE:
            roles["targets"] = (self.public("image targets"), self.threshold)
        return roles

    def root(
        self,
        repository: str,
        version: int = 1,
        *,
        signers: Sequence[CryptoSigner] | None = None,
        roles: Mapping[str, tuple[list[Mapping[str, Any]], int]] | None = None,
        life: timedelta = YEAR,
    ) -> Bodies:
        roles = roles or self.root_roles(repository)
        signers = self.keys[f"{repository} root"] if signers is None else signers
        bodies = {}
        for profile in self.profiles:
            keys = {primitives.keyid_of(key): key_object(key, profile) for keys, _ in roles.values() for key in keys}
            signed = profiles.header("root", version=version, expires_at=self.at + life, profile=profile) | {
                "consistent_snapshot": profile == Profile.TUF,
                "keys": keys,
                "roles": {role: role_entry(*entry) for role, entry in roles.items()},
            }
            bodies[profile] = sign(signed, profile, signers)
        return bodies

    def targets(
        self, version: int = 1, *, signers: Sequence[CryptoSigner] | None = None, life: timedelta = YEAR, **changes: Any
    ) -> Bodies:
        """Sign the top-level targets; `changes` go into every delegation."""
        bodies = {}
        for profile in self.profiles:
            keys = {
                primitives.keyid_of(key): key_object(key, profile) for role in self.roles for key in self.public(role)
            }
            delegations = [
                {"name": role, "paths": [f"{role}/*"], "terminating": False}
                | role_entry(self.public(role), self.threshold)
                | changes
                for role in self.roles
            ]
            signed = profiles.header("targets", version=version, expires_at=self.at + life, profile=profile) | {
                "targets": {},
                "delegations": {"keys": keys, "roles": delegations},
            }
            bodies[profile] = sign(signed, profile, self.keys["image targets"] if signers is None else signers)
        return bodies

    def role(
        self,
        role: str,
        version: int,
        *,
        entries: Mapping[str, Any] | None = None,
        signers: Sequence[CryptoSigner] | None = None,
        life: timedelta = HALF_A_YEAR,
        at: datetime | None = None,
    ) -> Bodies:
        entries = self.entries[role] if entries is None else entries
        bodies = {}
        for profile in self.profiles:
            expires_at = (at or self.at) + life
            signed = profiles.header("targets", version=version, expires_at=expires_at, profile=profile)
            signed |= {"targets": dict(entries)}
            bodies[profile] = sign(signed, profile, self.keys[role] if signers is None else signers)
        return bodies

    def next_version(self, role: str) -> int:
        return queries.latest_version(self.tenant, Repository.IMAGE, role) + 1

    def upload(self, content: bytes, name: str = "engine", version: str = "1.0", **fields: Any) -> Package:
        """Declare a package and send its bytes."""
        values = {
            "role": "supplier",
            "hardware_ids": ["gateway"],
            "release_counter": 0,
            "filename": f"{name}.bin",
            "length": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        } | fields
        package = operations.begin_package(self.tenant, name=name, version=version, by="alice", at=self.at, **values)
        offset = operations.received_bytes(package)
        operations.append_bytes(package, io.BytesIO(content[offset:]), offset=offset, at=self.at)
        return package

    def publish(self, content: bytes, name: str = "engine", version: str = "1.0", **fields: Any) -> Package:
        """Upload a package, sign it into its role and publish it."""
        package = self.upload(content, name, version, **fields)
        entries = self.entries[package.role] | {package.target_name: target_entry(package, content)}
        number = self.next_version(package.role)
        metadata = self.role(package.role, number, entries=entries)
        operations.publish_package(package, metadata=metadata, expected_version=number - 1, by="alice", at=self.at)
        self.entries[package.role] = entries
        return package
