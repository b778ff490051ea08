"""The order in protocol-neutral words: what a vehicle should do now. Made by campaigns, signed by the Director."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class OrderedPackage:
    """One package for one ECU. Digests in lower-case hex, `length` in bytes."""

    ecu_serial: str
    hardware_id: str
    target_name: str
    name: str
    version: str
    length: int
    sha256: str
    sha512: str
    hardware_ids: Sequence[str]
    release_counter: int
    position: int = 0  # order of installation; equal ones together


@dataclass(frozen=True)
class Order:
    """All that one attempt asks of one vehicle."""

    attempt_id: UUID
    number: int
    campaign: str
    release: str
    packages: Sequence[OrderedPackage]
    grace_hours: int | None = None  # None: online permit
    not_before: datetime | None = None
    # When it may be installed, start and end of each opening; None: at any time, and empty: not until it is renewed.
    windows: Sequence[tuple[datetime, datetime]] | None = None
    preconditions: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    consent: Mapping[str, Any] | None = None
    notes: Mapping[str, str] = field(default_factory=dict)  # language tag -> text (UTF-8; signed as base64)
