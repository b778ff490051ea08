"""What a package file says of itself, in plain facts that can be stored, shown and handed to protocols."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Format(StrEnum):
    PLAIN = "plain"
    SWU = "swu"  # SWUpdate
    RAUCB = "raucb"  # RAUC
    MENDER = "mender"  # Mender artifact


@dataclass(frozen=True)
class Payload:
    """One file inside. `kind` is what its client does with it: an image, a script, a Mender payload type, a slot."""

    name: str
    kind: str
    length: int
    sha256: str


@dataclass(frozen=True)
class Signer:
    """Who signed, by the certificate that the file shows; times in ISO 8601, the fingerprint is its SHA-256."""

    subject: str
    issuer: str
    serial: str
    fingerprint: str
    not_before: str
    not_after: str


@dataclass(frozen=True)
class Contents:
    """What one file holds. `hardware` are the names that it fits, as its client compares them.

    `details` are the format's own facts (see `swu`, `raucb` and `mender`): JSON values only.
    """

    format: Format
    name: str = ""
    version: str = ""
    hardware: tuple[str, ...] = ()
    payloads: tuple[Payload, ...] = ()
    # cms, raw, or empty: not signed.
    signature: str = ""
    signers: tuple[Signer, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def stored(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        listed = {name: list(value) for name, value in asdict(self).items() if isinstance(value, tuple)}
        return {**asdict(self), **listed, "format": str(self.format)}

    @classmethod
    def loaded(cls, stored: Mapping[str, Any]) -> "Contents":
        """Return what `stored` made; what came before a package was read counts as plain."""
        if not stored:
            return cls(Format.PLAIN)
        return cls(
            format=Format(stored["format"]),
            name=stored["name"],
            version=stored["version"],
            hardware=tuple(stored["hardware"]),
            payloads=tuple(Payload(**one) for one in stored["payloads"]),
            signature=stored["signature"],
            signers=tuple(Signer(**one) for one in stored["signers"]),
            details=stored["details"],
        )
