"""What a vehicle is told once: who it is, which ECUs it has, whom it trusts at first."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from clients.vehicle.errors import ConfigError

# An ECU serial names a directory.
SERIAL_PATTERN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class EcuConfig:
    """One computer of the vehicle. `verification` counts for Secondaries; the Primary always verifies in full."""

    serial: str
    hardware_id: str
    is_primary: bool = False
    verification: Literal["full", "partial"] = "full"


@dataclass(frozen=True)
class Limits:
    """Bounds on what a server may make this vehicle read, wait for or try."""

    root_bytes: int = 512_000
    timestamp_bytes: int = 16_384
    snapshot_bytes: int = 2_000_000
    targets_bytes: int = 5_000_000
    answer_bytes: int = 65_536
    root_hops: int = 1024
    visited_delegations: int = 32
    timeout_seconds: float = 30.0
    # Slow retrieval: fewer bytes than this in a window end the transfer.
    slow_window_seconds: float = 60.0
    slow_window_bytes: int = 60_000
    # How often a whole image may come otherwise than it was signed before the order ends.
    bad_downloads: int = 5
    # How long an ECU that is full, or an install hook, may keep an order from being staged.
    staging_seconds: float = 259_200.0
    # How often a trial may be cut short before the vehicle goes back by itself.
    trial_starts: int = 3
    # How long a health hook may say "not yet".
    trial_seconds: float = 86_400.0


@dataclass(frozen=True)
class VehicleConfig:
    """Everything a vehicle is provisioned with. Durations in seconds."""

    state_dir: Path
    server_url: str
    tenant: str
    vehicle_id: str
    ecus: tuple[EcuConfig, ...]
    director_root: Path
    image_root: Path
    claim_code: str = ""
    language: str = "en"
    # Until the server names another interval.
    polling_seconds: float = 60.0
    # Also ask for a client certificate of the fleet CA (for servers that identify by mTLS).
    wants_certificate: bool = True
    # The server's certificate authority; None for the system's.
    ca_file: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if sum(ecu.is_primary for ecu in self.ecus) != 1:
            raise ConfigError(f"exactly one ECU is the Primary, not {sum(ecu.is_primary for ecu in self.ecus)}.")
        serials = [ecu.serial for ecu in self.ecus]
        if len(set(serials)) != len(serials):
            raise ConfigError(f"ECU serials repeat: {', '.join(sorted(serials))}.")
        for serial in serials:
            if not SERIAL_PATTERN.fullmatch(serial):
                raise ConfigError(f"{serial!r} is not a usable ECU serial.")

    @property
    def primary(self) -> EcuConfig:
        return next(ecu for ecu in self.ecus if ecu.is_primary)

    @property
    def hardware(self) -> Mapping[str, str]:
        """Hardware id by ECU serial."""
        return {ecu.serial: ecu.hardware_id for ecu in self.ecus}


def load_config(path: Path) -> tuple[VehicleConfig, Mapping[str, Any]]:
    """Read a TOML file; returns the configuration and its `[hooks]` table. Relative paths are relative to the file.

    Raises:
        ConfigError: a key is unknown, missing or unusable.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    hooks = document.pop("hooks", {})
    try:
        return _build(document, path.parent), hooks
    except TypeError as error:
        raise ConfigError(f"{path}: {error}") from error


def _build(document: dict[str, Any], folder: Path) -> VehicleConfig:
    unknown = set(document) - {known.name for known in fields(VehicleConfig)}
    if unknown:
        raise ConfigError(f"unknown keys: {', '.join(sorted(unknown))}.")
    for name in ("state_dir", "director_root", "image_root", "ca_file"):
        if name in document:
            document[name] = folder / document[name]
    document["ecus"] = tuple(EcuConfig(**ecu) for ecu in document.get("ecus", ()))
    document["limits"] = Limits(**document.get("limits", {}))
    return VehicleConfig(**document)
