"""A vehicle whose ECUs hold real keys, and sign manifests as the reference client does."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware_store.models import Package
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.tenants.models import Tenant
from tests.factories import make_vehicle

UNKNOWN = {"filepath": "unknown", "fileinfo": {"length": 0, "hashes": {"sha256": hashlib.sha256(b"").hexdigest()}}}


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def image(package: Package, **changes: Any) -> dict[str, Any]:
    info = {"length": package.length, "hashes": {"sha256": package.sha256}} | changes
    return {"filepath": package.target_name, "fileinfo": info}


@dataclass
class EcuKey:
    """One ECU's private key, public key object and key id."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> dict[str, Any]:
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw.hex()}}

    @property
    def keyid(self) -> str:
        return hashlib.sha256(canonical(self.public)).hexdigest()

    def envelope(self, signed: dict[str, Any]) -> dict[str, Any]:
        payload = canonical(signed)
        signature = {
            "keyid": self.keyid,
            "method": "ed25519",
            "hash": {"function": "sha256", "digest": hashlib.sha256(payload).hexdigest()},
            "sig": self.private.sign(payload).hex(),
        }
        return {"signatures": [signature], "signed": signed}


@dataclass
class SigningVehicle:
    """A vehicle's row, its ECUs' keys by serial, and what they run."""

    vehicle: Vehicle
    keys: dict[str, EcuKey]
    images: dict[str, dict[str, Any]]
    counter: int = 0

    @property
    def serials(self) -> list[str]:
        return list(self.keys)

    def report(self, serial: str, *, key: EcuKey | None = None, **changes: Any) -> dict[str, Any]:
        signed = {
            "ecu_serial": serial,
            "installed_image": self.images[serial],
            "report_counter": self.counter,
            "attacks_detected": "",
            "timeserver_time": "2026-06-01T11:59:00Z",
            "previous_timeserver_time": "2026-06-01T11:00:00Z",
        }
        return (key or self.keys[serial]).envelope(signed | changes)

    def reports(self, **changes: Any) -> dict[str, Any]:
        """Reports of all ECUs, each with the next counter."""
        self.counter += 1
        return {serial: self.report(serial, **changes) for serial in self.serials}

    def manifest(self, reports: dict[str, Any] | None = None, *, key: EcuKey | None = None, **changes: Any) -> bytes:
        signed = {
            "vehicle_id": self.vehicle.vehicle_id,
            "primary_ecu_serial": self.serials[0],
            "ecu_version_manifests": self.reports() if reports is None else reports,
            "report": None,
        }
        return canonical((key or self.keys[self.serials[0]]).envelope(signed | changes))


def make_signing_vehicle(
    tenant: Tenant | None = None, *packages: Package, hardware: tuple[str, ...] = ("gateway", "brake"), **fields: Any
) -> SigningVehicle:
    """A vehicle that runs the packages, one per ECU in the order of `hardware`, or else unknown software."""
    vehicle = make_vehicle(tenant, hardware=hardware, **fields)
    serials = [f"{vehicle.vehicle_id}-{index}" for index in range(len(hardware))]
    keys = {serial: EcuKey() for serial in serials}
    for serial, key in keys.items():
        Ecu.objects.filter(vehicle=vehicle, serial=serial).update(keyid=key.keyid, public_key=key.public)
    images = {serial: image(packages[index]) if packages else UNKNOWN for index, serial in enumerate(serials)}
    return SigningVehicle(vehicle, keys, images)
