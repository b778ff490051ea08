"""A Secondary: reached by bytes alone, so that a Primary cannot make it install what it has not verified by itself.

A message is one line of JSON (`{"do": ...}`), optionally followed by raw bytes; the answer is JSON. `SecondaryLink` is
the Primary's end, `Secondary.exchange` the other one.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from tuf.api.metadata import Metadata, Timestamp

from clients.vehicle.config import EcuConfig, VehicleConfig
from clients.vehicle.disk import Disk, full_disk_is_not_now, read_json
from clients.vehicle.ecu import Ecu, Link, ReportRequest
from clients.vehicle.errors import NotNowError, Reason, VerificationError
from clients.vehicle.order import Order, Package, format_time, parse_time
from clients.vehicle.partial import PartialVerifier
from clients.vehicle.repository import Vehicle
from clients.vehicle.slots import Image, Slot, blocks
from clients.vehicle.trust import TrustStore
from clients.vehicle.verification import Verifier

# What a Secondary says of an order that it has verified too long ago to act on.
UNCONFIRMED = "order.unconfirmed"


class BundleSource:
    """Metadata out of a bundle: the roots by version, all else by role (its version is checked like any other)."""

    def __init__(self, bundle: Mapping[str, Mapping[str, str]]) -> None:
        self._bundle = bundle

    def metadata(self, repository: str, filename: str, max_length: int) -> bytes | None:
        files = self._bundle.get(repository, {})
        number, _, unversioned = filename.partition(".")
        name = filename if not number.isdigit() or unversioned == "root.json" else unversioned
        return base64.b64decode(files[name]) if name in files else None


def make_bundle(trust: Path) -> bytes:
    """Pack the metadata in a trust directory for Secondaries."""
    bundle: dict[str, dict[str, str]] = {}
    for repository in ("director", "image"):
        folder = trust / repository
        files = [*folder.glob("root_history/*.root.json"), *folder.glob("*.json")]
        bundle[repository] = {
            file.name: base64.b64encode(file.read_bytes()).decode() for file in files if file.name != "root.json"
        }
    return json.dumps(bundle).encode()


class Secondary:
    """An ECU behind the Primary, with its own key, trust and counter. `exchange` is its only way in."""

    def __init__(
        self, directory: Path, ecu: EcuConfig, config: VehicleConfig, *, clock: Callable[[], datetime], disk: Disk
    ) -> None:
        self._ecu = Ecu(directory, ecu, disk)
        self._serial = ecu.serial
        self._clock = clock
        self._disk = disk
        self._counter_path = directory / "release_counter"
        self._part_path = directory / "incoming"
        self._wanted_path = directory / "wanted.json"
        self._store = store = TrustStore(directory / "trust", disk)
        vehicle = Vehicle(config.vehicle_id, config.hardware)
        roots = {"director": config.director_root}
        self._verifier: Verifier | PartialVerifier
        if ecu.verification == "full":
            roots["image"] = config.image_root
            self._verifier = Verifier(store, vehicle, config.limits, disk)
        else:
            self._verifier = PartialVerifier(store, vehicle, config.limits, disk)
        store.initialise(roots)

    def exchange(self, message: bytes) -> bytes:
        """Answer one message. Never raises for what the message says."""
        head, _, payload = message.partition(b"\n")
        try:
            request = json.loads(head)
            answer = self._answer(request["do"], request, payload)
        except VerificationError as error:
            answer = {"refused": error.reason, "message": error.message}
        except NotNowError as error:
            answer = {"not_now": error.code, "message": error.message}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, FileNotFoundError) as error:
            answer = {"refused": Reason.MALFORMED, "message": f"{type(error).__name__}: {error}"}
        return json.dumps(answer).encode()

    def _answer(self, verb: str, request: Mapping[str, Any], payload: bytes) -> Any:
        match verb:
            case "public_key":
                return self._ecu.public_key()
            case "installed":
                image = self._ecu.installed(_slot(request))
                return asdict(image) if image else None
            case "report":
                return self._ecu.report(ReportRequest(**request["request"]))
            case "metadata":
                return self._verify(payload)
            case "begin":
                return self._begin(_slot(request))
            case "chunk":
                return self._take_chunk(request["offset"], payload)
            case "finish":
                return self._finish(_slot(request))
            case "commit":
                return self._commit(_slot(request))
        raise KeyError(verb)

    def _verify(self, payload: bytes) -> None:
        order = self._verifier.verify(
            BundleSource(json.loads(payload)),
            at=self._clock(),
            counters={self._serial: read_json(self._counter_path) or 0},
            wants_images=self._is_for_me,
        )
        packages = order.packages if order else ()
        package = next((package for package in packages if package.ecu == self._serial), None)
        self._disk.write_json(self._wanted_path, self._describe(order, package) if order and package else None)

    def _describe(self, order: Order, package: Package) -> dict[str, Any]:
        """What this ECU has itself verified that it should run, and for how long that may be acted on."""
        timestamp = Metadata[Timestamp].from_bytes(self._store.read("director", "timestamp.json") or b"")
        return {
            "package": asdict(package),
            "verified_at": format_time(self._verifier.trusted_time(self._clock())),
            # Until then the Primary may find the order unchanged without having anything new to show.
            "expires_at": format_time(timestamp.signed.expires),
            "grace_hours": order.grace_hours or 0,
        }

    def _is_for_me(self, order: Order) -> bool:
        return any(package.ecu == self._serial for package in order.packages)

    def _begin(self, slot: str) -> dict[str, bool]:
        """Say whether the bytes are still needed."""
        if self._ecu.slots.holds(slot, self._verified().image):
            return {"needed": False}
        with full_disk_is_not_now():
            self._part_path.write_bytes(b"")
        return {"needed": True}

    def _take_chunk(self, offset: int, payload: bytes) -> None:
        image = self._verified().image
        if offset + len(payload) > image.length:
            raise VerificationError(Reason.OVERSIZED, f"{image.target_name} is longer than {image.length} bytes.")
        try:
            with full_disk_is_not_now(), self._part_path.open("r+b") as file:
                file.seek(offset)
                file.write(payload)
        except NotNowError:
            self._part_path.unlink()
            raise

    def _finish(self, slot: str) -> None:
        try:
            self._ecu.fill(slot, self._verified().image, blocks(self._part_path))
        finally:
            self._part_path.unlink(missing_ok=True)

    def _commit(self, slot: str) -> None:
        image = self._ecu.installed(slot)
        counter = read_json(self._counter_path) or 0
        if image is not None and image.release_counter > counter:
            self._disk.write_json(self._counter_path, image.release_counter)

    def _verified(self) -> Package:
        kept = read_json(self._wanted_path)
        if kept is None:
            raise VerificationError(Reason.IMAGE_UNKNOWN, f"{self._serial} has verified no order for itself.")
        late = self._verifier.trusted_time(self._clock()) - parse_time(kept["expires_at"])
        if late > timedelta(hours=kept["grace_hours"]):
            raise NotNowError(UNCONFIRMED, f"verified at {kept['verified_at']}, and too long ago by now.")
        return Package(**{**kept["package"], "image": Image(**kept["package"]["image"])})


def _slot(request: Mapping[str, Any]) -> Slot:
    slot = request["slot"]
    if slot not in ("a", "b"):
        raise ValueError(f"there is no slot {slot!r}.")
    return cast(Slot, slot)


class SecondaryLink:
    """The Primary's end: turns calls into messages and answers into results or errors."""

    CHUNK = 1 << 20

    def __init__(self, serial: str, exchange: Callable[[bytes], bytes], directory: Path) -> None:
        self.serial = serial
        self._exchange = exchange
        self._directory = directory

    def public_key(self) -> Mapping[str, Any]:
        key: Mapping[str, Any] = self._send("public_key")
        return key

    def installed(self, slot: str) -> Image | None:
        document = self._send("installed", slot=slot)
        return Image(**document) if document else None

    def report(self, request: ReportRequest) -> Mapping[str, Any]:
        envelope: Mapping[str, Any] = self._send("report", request=asdict(request))
        return envelope

    def offer_metadata(self, bundle: bytes) -> None:
        self._send("metadata", payload=bundle)

    def stage(self, slot: str, package: Package, source: Path) -> None:
        if not self._send("begin", slot=slot)["needed"]:
            return
        for offset, block in self._numbered_blocks(source):
            self._send("chunk", payload=block, offset=offset)
        self._send("finish", slot=slot)

    def commit(self, slot: str) -> None:
        self._send("commit", slot=slot)

    def image_path(self, slot: str) -> Path:
        return self._directory / slot / "image"

    def _numbered_blocks(self, source: Path) -> Iterator[tuple[int, bytes]]:
        offset = 0
        for block in blocks(source):
            yield offset, block
            offset += len(block)

    def _send(self, verb: str, *, payload: bytes = b"", **fields: Any) -> Any:
        answer = json.loads(self._exchange(json.dumps({"do": verb, **fields}).encode() + b"\n" + payload))
        if isinstance(answer, dict) and "refused" in answer:
            raise VerificationError(Reason(answer["refused"]), f"{self.serial}: {answer['message']}")
        if isinstance(answer, dict) and "not_now" in answer:
            raise NotNowError(answer["not_now"], f"{self.serial}: {answer['message']}")
        return answer


def make_ecus(config: VehicleConfig, *, clock: Callable[[], datetime], disk: Disk) -> tuple[Ecu, Sequence[Link]]:
    """Make the vehicle's ECUs: the Primary's own, and the links to all. Their keys are on disk when this returns."""
    folder = config.state_dir / "ecus"
    primary = Ecu(folder / config.primary.serial, config.primary, disk)
    links: list[Link] = []
    for ecu in config.ecus:
        if ecu.is_primary:
            links.append(primary)
        else:
            secondary = Secondary(folder / ecu.serial, ecu, config, clock=clock, disk=disk)
            links.append(SecondaryLink(ecu.serial, secondary.exchange, folder / ecu.serial))
    return primary, links
