"""One ECU: its key, its report counter, its two slots. It starts from the slot that the Primary's record names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from clients.vehicle.config import EcuConfig
from clients.vehicle.disk import Disk, read_json
from clients.vehicle.order import Package
from clients.vehicle.signing import EcuKey, printable
from clients.vehicle.slots import Image, Slots, blocks

# SHA-256 of nothing: what an ECU that never had an image reports.
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True)
class ReportRequest:
    """What the Primary tells an ECU that shall report: the slot it runs from, the time, what was detected."""

    slot: str
    time: str
    previous_time: str
    attacks: str


class Link(Protocol):
    """The Primary's side of an ECU, its own or a Secondary."""

    serial: str

    def public_key(self) -> Mapping[str, Any]:
        """Return the ECU's public key object."""

    def installed(self, slot: str) -> Image | None:
        """Return what the ECU says is in `slot`."""

    def report(self, request: ReportRequest) -> Mapping[str, Any]:
        """Return a signed ECU version report; its counter is new each time."""

    def offer_metadata(self, bundle: bytes) -> None:
        """Hand over metadata, which the ECU verifies by itself. Raises VerificationError."""

    def stage(self, slot: str, package: Package, source: Path) -> None:
        """Fill `slot` with a package. Repeating it is cheap. Raises VerificationError or NotNowError."""

    def commit(self, slot: str) -> None:
        """Keep what is in `slot`: its release counter becomes the ECU's lower bound."""

    def image_path(self, slot: str) -> Path:
        """Return where the image in `slot` is, for the hooks of this vehicle."""


class Ecu:
    """The part that the Primary's own ECU and Secondaries have in common. It is the Link to the Primary's own."""

    def __init__(self, directory: Path, config: EcuConfig, disk: Disk) -> None:
        disk.make_directory(directory)
        self.serial = config.serial
        self.slots = Slots(directory, disk)
        self._disk = disk
        self._key = EcuKey.load_or_create(directory / "key", disk)
        self._counter_path = directory / "report_counter"

    def public_key(self) -> Mapping[str, Any]:
        return self._key.public_key

    def installed(self, slot: str) -> Image | None:
        return self.slots.image(slot)

    def report(self, request: ReportRequest) -> Mapping[str, Any]:
        counter = (read_json(self._counter_path) or 0) + 1
        # Stored before it is used: a counter that was ever sent is never sent again.
        self._disk.write_json(self._counter_path, counter)
        signed = {
            "ecu_serial": self.serial,
            "installed_image": _describe(self.slots.image(request.slot)),
            "report_counter": counter,
            "attacks_detected": printable(request.attacks),
            "timeserver_time": request.time,
            "previous_timeserver_time": request.previous_time,
        }
        return self._key.envelope(signed)

    def sign_manifest(self, signed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Sign the vehicle version manifest, as only the Primary's ECU does."""
        return self._key.envelope(signed)

    def offer_metadata(self, bundle: bytes) -> None:
        """The Primary has verified it already."""

    def stage(self, slot: str, package: Package, source: Path) -> None:
        self.fill(slot, package.image, blocks(source))

    def fill(self, slot: str, image: Image, content: Iterable[bytes]) -> None:
        if not self.slots.holds(slot, image):
            self.slots.fill(slot, image, content)

    def commit(self, slot: str) -> None:
        """The Primary's own counter is in the commit record."""

    def image_path(self, slot: str) -> Path:
        return self.slots.path(slot)


def _describe(image: Image | None) -> dict[str, Any]:
    if image is None:
        return {"filepath": "unknown", "fileinfo": {"length": 0, "hashes": {"sha256": EMPTY_SHA256}}}
    hashes = {"sha256": image.sha256, "sha512": image.sha512}
    return {"filepath": image.target_name, "fileinfo": {"length": image.length, "hashes": hashes}}
