"""Partial verification (Uptane 5.4.4.1): the Director's Targets alone, under the Director's root chain.

The Director's timestamp comes with them for what it says of time: it ends within a day, and signs when it was made.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Targets, Timestamp

from clients.vehicle.checks import check_metadata
from clients.vehicle.config import Limits
from clients.vehicle.disk import Disk
from clients.vehicle.errors import Reason, VerificationError
from clients.vehicle.order import Order, read_order
from clients.vehicle.repository import MetadataSource, Vehicle, refusals
from clients.vehicle.trust import TrustStore
from clients.vehicle.trusted_time import StartTime, trusted_time
from clients.vehicle.verification import check_package

T = TypeVar("T", Timestamp, Targets)


class PartialVerifier:
    """For ECUs too small for full verification; an attacker needs the Director's keys to deceive one."""

    def __init__(self, store: TrustStore, vehicle: Vehicle, limits: Limits, disk: Disk) -> None:
        self._store = store
        self._vehicle = vehicle
        self._limits = limits
        self._disk = disk

    def trusted_time(self, at: datetime) -> datetime:
        """Return the later of the system's time `at` and the last verified signed time."""
        return trusted_time(self._store, at)

    def verify(
        self,
        source: MetadataSource,
        *,
        at: datetime,
        counters: Mapping[str, int],
        wants_images: Callable[[Order], bool],
    ) -> Order | None:
        """Verify the Director's Targets and timestamp and return the order, None for nothing to do.

        Raises:
            VerificationError: refused; the stored trust is what it was.
        """
        with self._store.scratch() as scratch, refusals():
            root, new_roots = self._walk_roots(source)
            start = StartTime(self._store, at)
            start.decide(root)
            timestamp_body = self._fetch(source, "timestamp.json", self._limits.timestamp_bytes)
            timestamp = self._verify(Timestamp, root, timestamp_body, start.time)
            body = self._fetch(source, "targets.json", self._limits.targets_bytes)
            targets = self._verify(Targets, root, body, start.time)
            order = read_order(targets)
            if order is not None and wants_images(order):
                for package in order.packages:
                    custom = targets.targets[package.image.target_name].custom or {}
                    check_package(package, custom, counters)
            for version, root_body in new_roots.items():
                (scratch / "director" / "root_history" / f"{version}.root.json").write_bytes(root_body)
            if new_roots:
                (scratch / "director" / "root.json").unlink()
                (scratch / "director" / "root.json").symlink_to(f"root_history/{root.version}.root.json")
            _replace(scratch / "director" / "targets.json", body)
            _replace(scratch / "director" / "timestamp.json", timestamp_body)
            start.keep(scratch, timestamp, (root, targets), self._disk)
        return order

    def _walk_roots(self, source: MetadataSource) -> tuple[Root, dict[int, bytes]]:
        root = Metadata[Root].from_bytes(self._store.read("director", "root.json") or b"").signed
        new: dict[int, bytes] = {}
        for version in range(root.version + 1, root.version + 1 + self._limits.root_hops):
            filename = f"{version}.root.json"
            body = source.metadata("director", filename, self._limits.root_bytes)
            if body is None:
                break
            self._check(body, filename)
            metadata = Metadata[Root].from_bytes(body)
            for judge in (root, metadata.signed):
                judge.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
            root, new[version] = metadata.signed, body
        return root, new

    def _verify(self, kind: type[T], root: Root, body: bytes, at: datetime) -> T:
        role, metadata = kind.type, Metadata[T].from_bytes(body)
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        signed = metadata.signed
        if root.is_expired(at) or signed.is_expired(at):
            raise VerificationError(Reason.FREEZE, f"the Director's root or {role} has expired.")
        old = self._store.read("director", f"{role}.json")
        if old is not None and old != body:
            self._compare(role, signed.version, _version_under(root, role, old))
        return signed

    def _compare(self, role: str, version: int, trusted_version: int) -> None:
        if version < trusted_version:
            raise VerificationError(Reason.ROLLBACK, f"Director {role} went back to {version}.")
        if version == trusted_version:
            raise VerificationError(Reason.EQUIVOCATION, f"Director {role} version {version} has two contents.")

    def _fetch(self, source: MetadataSource, filename: str, max_length: int) -> bytes:
        body = source.metadata("director", filename, max_length)
        if body is None or len(body) > max_length:
            raise VerificationError(Reason.INCONSISTENT, f"the bundle has no usable {filename}.")
        self._check(body, filename)
        return body

    def _check(self, body: bytes, filename: str) -> None:
        check_metadata(
            body,
            repository="director",
            filename=filename,
            vehicle_id=self._vehicle.vehicle_id,
            hardware=self._vehicle.hardware,
        )


def _replace(path: Path, body: bytes) -> None:
    # A new file, never an old one changed in place: the copy shares its files with the trusted directory.
    path.unlink(missing_ok=True)
    path.write_bytes(body)


def _version_under(root: Root, role: str, body: bytes) -> int:
    """Return the version of stored metadata, 0 if the present keys no longer vouch for it."""
    metadata = Metadata[Any].from_bytes(body)
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except exceptions.UnsignedMetadataError:
        return 0
    version: int = metadata.signed.version
    return version
