"""Partial verification (Uptane 5.4.4.1): the Director's Targets alone, under the Director's root chain."""

from collections.abc import Callable, Mapping
from datetime import datetime

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Targets

from clients.vehicle.checks import check_metadata
from clients.vehicle.config import Limits
from clients.vehicle.errors import Reason, VerificationError
from clients.vehicle.order import Order, read_order
from clients.vehicle.repository import MetadataSource, Vehicle, refusals
from clients.vehicle.trust import TrustStore
from clients.vehicle.verification import check_package


class PartialVerifier:
    """For ECUs too small for full verification; an attacker needs the Director's keys to deceive one."""

    def __init__(self, store: TrustStore, vehicle: Vehicle, limits: Limits) -> None:
        self._store = store
        self._vehicle = vehicle
        self._limits = limits

    def verify(
        self,
        source: MetadataSource,
        *,
        at: datetime,
        counters: Mapping[str, int],
        wants_images: Callable[[Order], bool],
    ) -> Order | None:
        """Verify the Director's Targets and return the order, None for nothing to do.

        Raises:
            VerificationError: refused; the stored trust is what it was.
        """
        with self._store.scratch() as scratch, refusals():
            root, new_roots = self._walk_roots(source)
            body = self._fetch(source, "targets.json", self._limits.targets_bytes)
            targets = self._verify_targets(root, body, at)
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
            # A new file, never an old one changed in place: the copy shares its files with the trusted directory.
            (scratch / "director" / "targets.json").unlink(missing_ok=True)
            (scratch / "director" / "targets.json").write_bytes(body)
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

    def _verify_targets(self, root: Root, body: bytes, at: datetime) -> Targets:
        metadata = Metadata[Targets].from_bytes(body)
        root.verify_delegate("targets", metadata.signed_bytes, metadata.signatures)
        if root.is_expired(at) or metadata.signed.is_expired(at):
            raise VerificationError(Reason.FREEZE, "the Director's root or targets have expired.")
        old = self._store.read("director", "targets.json")
        if old is not None and metadata.signed.version < _version_under(root, old):
            raise VerificationError(Reason.ROLLBACK, f"Director targets went back to {metadata.signed.version}.")
        return metadata.signed

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


def _version_under(root: Root, body: bytes) -> int:
    """Return the version of stored targets, 0 if the present keys no longer vouch for them."""
    metadata = Metadata[Targets].from_bytes(body)
    try:
        root.verify_delegate("targets", metadata.signed_bytes, metadata.signatures)
    except exceptions.UnsignedMetadataError:
        return 0
    return metadata.signed.version
