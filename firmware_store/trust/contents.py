"""What signed metadata states, in no profile's words, so that two profiles can be compared. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

PublicKey = Mapping[str, Any]  # keytype, scheme and keyval, as in tuf-1.0

TOP_LEVEL_ROLES = ("root", "targets", "snapshot", "timestamp")


@dataclass(frozen=True)
class RoleKeys:
    """The keys that may sign for a role, by key id, and how many of them must."""

    keys: Mapping[str, PublicKey]
    threshold: int


@dataclass(frozen=True)
class RootContent:
    """One version of a root: who may sign for each top-level role."""

    version: int
    expires_at: datetime
    roles: Mapping[str, RoleKeys]


@dataclass(frozen=True)
class Target:
    """What a release role signs of one package. `length` in bytes, digests in lower-case hex."""

    length: int
    sha256: str
    sha512: str
    hardware_ids: tuple[str, ...]
    release_counter: int
    name: str
    version: str


@dataclass(frozen=True)
class TargetsContent:
    """One version of a targets role; `delegations`, in order of priority, is None where that field is absent."""

    version: int
    expires_at: datetime
    targets: Mapping[str, Target]
    delegations: Mapping[str, RoleKeys] | None
