"""Trust for tests: a tenant's two repositories with offline keys that the test holds, in both profiles."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from firmware_store.models import Package
from firmware_store.states import Profile, Repository
from firmware_store.trust import operations, queries
from otaserver.tenants.models import Tenant
from tests.director.signing_vehicle import EcuKey, canonical
from tests.factories import NOON

SUPPLIER = "supplier"


def body(kind: str, version: int, expires_at: datetime, profile: str, **parts: Any) -> dict[str, Any]:
    header: dict[str, Any] = {"version": version, "expires": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if profile == Profile.TUF:
        return header | {"_type": kind, "spec_version": "1.0.31"} | parts
    return header | {"_type": kind.capitalize()} | parts


def key_object(public: dict[str, Any], profile: str) -> dict[str, Any]:
    return public if profile == Profile.TUF else {"keytype": "ED25519", "keyval": public["keyval"]}


def envelope(signed: dict[str, Any], keys: Iterable[EcuKey], profile: str) -> bytes:
    signatures = []
    for key in keys:
        raw = key.private.sign(canonical(signed))
        tuf = {"keyid": key.keyid, "sig": raw.hex()}
        other = {"keyid": key.keyid, "method": "ed25519", "sig": base64.b64encode(raw).decode()}
        signatures.append(tuf if profile == Profile.TUF else other)
    return canonical({"signatures": signatures, "signed": signed})


@dataclass
class Trust:
    """A tenant's offline keys, and what they can do."""

    tenant: Tenant
    root_key: EcuKey = field(default_factory=EcuKey)
    targets_key: EcuKey = field(default_factory=EcuKey)
    supplier_key: EcuKey = field(default_factory=EcuKey)

    def root(self, repository: str, version: int, signers: Iterable[EcuKey], at: datetime) -> dict[Profile, bytes]:
        online = queries.online_keys(self.tenant, repository)
        keys = {role: (hashlib.sha256(canonical(public)).hexdigest(), public) for role, public in online.items()}
        keys["root"] = (self.root_key.keyid, self.root_key.public)
        if repository == Repository.IMAGE:
            keys["targets"] = (self.targets_key.keyid, self.targets_key.public)
        roles = {role: {"keyids": [keyid], "threshold": 1} for role, (keyid, _) in keys.items()}
        return {
            profile: envelope(
                body(
                    "root",
                    version,
                    at + timedelta(days=365),
                    profile,
                    consistent_snapshot=profile == Profile.TUF,
                    keys={keyid: key_object(public, profile) for keyid, public in keys.values()},
                    roles=roles,
                ),
                signers,
                profile,
            )
            for profile in Profile
        }

    def publish_first_roots(self, *, at: datetime = NOON) -> None:
        operations.create_online_keys(self.tenant, at=at)
        for repository in Repository:
            bodies = self.root(repository, 1, [self.root_key], at)
            operations.publish_root(self.tenant, repository, bodies, by="test", at=at)

    def rotate(self, repository: str, *, at: datetime) -> None:
        """Publish the next root with a new root key and new online keys."""
        operations.create_online_keys(self.tenant, at=at, rotate=True)
        old, self.root_key = self.root_key, EcuKey()
        version = queries.latest_version(self.tenant, repository, "root") + 1
        bodies = self.root(repository, version, [old, self.root_key], at)
        operations.publish_root(self.tenant, repository, bodies, by="test", at=at)

    def rotate_both(self, *, at: datetime) -> None:
        """Publish the next root of both repositories, which share a root key, with a new one and new online keys."""
        operations.create_online_keys(self.tenant, at=at, rotate=True)
        old, self.root_key = self.root_key, EcuKey()
        for repository in Repository:
            version = queries.latest_version(self.tenant, repository, "root") + 1
            bodies = self.root(repository, version, [old, self.root_key], at)
            operations.publish_root(self.tenant, repository, bodies, by="test", at=at)

    def publish_images(self, *packages: Package, at: datetime = NOON, version: int = 1) -> None:
        """Publish targets: a delegation to the supplier, whose targets are these packages."""
        role = {
            "name": SUPPLIER,
            "keyids": [self.supplier_key.keyid],
            "threshold": 1,
            "paths": [f"{SUPPLIER}/*"],
            "terminating": False,
        }
        expires_at = at + timedelta(days=180)
        top, own = {}, {}
        for profile in Profile:
            keys = {self.supplier_key.keyid: key_object(self.supplier_key.public, profile)}
            delegations = {"keys": keys, "roles": [role]}
            signed = body("targets", version, expires_at, profile, targets={}, delegations=delegations)
            top[profile] = envelope(signed, [self.targets_key], profile)
            targets = {package.target_name: target(package) for package in packages}
            own[profile] = envelope(
                body("targets", version, expires_at, profile, targets=targets), [self.supplier_key], profile
            )
        operations.publish_targets(self.tenant, "targets", top, expected_version=version - 1, by="test", at=at)
        operations.publish_delegated(
            self.tenant, SUPPLIER, own, expected_version=version - 1, check=lambda before, after: None, at=at
        )


def target(package: Package) -> dict[str, Any]:
    return {
        "length": package.length,
        "hashes": {"sha256": package.sha256, "sha512": package.sha512},
        "custom": {
            "hardwareIds": sorted(package.hardware_ids),
            "releaseCounter": package.release_counter,
            "name": package.name,
            "version": package.version,
            "targetFormat": "BINARY",
        },
    }


def make_trust(tenant: Tenant) -> Trust:
    """Publish the first roots of both repositories."""
    trust = Trust(tenant)
    trust.publish_first_roots()
    return trust
