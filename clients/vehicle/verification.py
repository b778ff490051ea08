"""Full verification (Uptane 5.4.4.2): both repositories, then each ordered image against what suppliers signed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import Root, TargetFile

from clients.vehicle.config import Limits
from clients.vehicle.delegations import Found, find_target
from clients.vehicle.disk import Disk
from clients.vehicle.errors import Reason, VerificationError, proving_against
from clients.vehicle.order import Order, Package, attempt_in, read_order
from clients.vehicle.repository import MetadataSource, Repository, Vehicle
from clients.vehicle.trust import TrustStore
from clients.vehicle.trusted_time import StartTime, trusted_time

# What Director and Image repository must state alike (Uptane 5.2.3.1.1, "SHALL match").
MATCHED = ("hardwareIds", "releaseCounter", "name", "version")


class Verifier:
    """Verifies against one trust store, and moves it forward only when everything holds."""

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
        """Run one whole cycle and return the verified order, None for nothing to do.

        The Image repository is asked only if `wants_images`; `counters` are the committed release counters by ECU.

        Raises:
            VerificationError: refused, with `attempt` if that is proved never to succeed; the trust is what it was.
            NotNowError: not all could be fetched; the same.
        """
        with self._store.scratch() as scratch:
            # One start time for the whole cycle; the Director's newest root decides it (TUF 5.1).
            start = StartTime(self._store, at)
            with _judging_evidence():
                director = self._refresh("director", scratch, source, start.decide)
            order = read_order(director.targets)
            if order is not None and wants_images(order):
                with _judging_evidence(order.attempt):
                    image = self._refresh("image", scratch, source, lambda _root: start.time)
                    _verify_images(order, image, director, counters)
            beside = (director.root, director.snapshot, director.targets)
            start.keep(scratch, director.timestamp, beside, self._disk)
        return order

    def _refresh(
        self, name: str, scratch: Path, source: MetadataSource, start_time: Callable[[Root], datetime]
    ) -> Repository:
        return Repository(name, scratch / name, source, self._vehicle, start_time=start_time, limits=self._limits)


@contextmanager
def _judging_evidence(attempt: str = "") -> Iterator[None]:
    """Hold evidence against `attempt`, by default against the one that it names itself."""
    try:
        yield
    except VerificationError as error:
        if error.evidence is not None:
            error.attempt = attempt or attempt_in(error.evidence)
        raise


def _verify_images(order: Order, image: Repository, director: Repository, counters: Mapping[str, int]) -> None:
    for package in order.packages:
        name = package.image.target_name
        roles = image.load_targets_for(name)
        with proving_against(order.attempt):
            found = find_target(roles, name)
        if found is None:
            # No proof: metadata from before the image was published says the same, and anybody may have kept that.
            raise VerificationError(Reason.IMAGE_UNKNOWN, f"the Image repository does not know {name}.")
        with proving_against(order.attempt):
            _check_match(director.targets.targets[name], found.target)
            check_package(package, found.target.custom or {}, counters)
            _check_hardware(package, found)


def _check_hardware(package: Package, found: Found) -> None:
    if not found.allows(package.hardware_id):
        message = f"{package.image.target_name} is signed by a role that may not sign for {package.hardware_id}."
        raise VerificationError(Reason.DELEGATION, message)


def _check_match(directed: TargetFile, signed: TargetFile) -> None:
    """Uptane 5.4.4.2, last step: length, every hash, and the part of `custom` that SHALL match."""
    differing = [name for name in ("length", "hashes") if getattr(directed, name) != getattr(signed, name)]
    ours, theirs = directed.custom or {}, signed.custom or {}
    differing += [name for name in MATCHED if name not in theirs or ours.get(name) != theirs[name]]
    if differing:
        message = f"{directed.path}: Director and Image repository differ in {', '.join(differing)}."
        raise VerificationError(Reason.IMAGE_MISMATCH, message)


def check_package(package: Package, custom: Mapping[str, Any], counters: Mapping[str, int]) -> None:
    """Refuse an image that does not fit its ECU or is older than what the ECU has committed to (Uptane 5.4.3.3).

    Raises:
        VerificationError: other hardware, or a lower release counter.
    """
    name = package.image.target_name
    if package.hardware_id not in (custom.get("hardwareIds") or ()):
        raise VerificationError(Reason.IMAGE_MISMATCH, f"{name} does not fit {package.hardware_id}.")
    committed = counters.get(package.ecu, 0)
    if package.image.release_counter < committed:
        message = f"{name} has release counter {package.image.release_counter}, {package.ecu} is at {committed}."
        raise VerificationError(Reason.IMAGE_ROLLBACK, message)
