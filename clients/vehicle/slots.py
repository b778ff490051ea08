"""Two slots per ECU. A slot is complete if and only if it has `meta.json`, which is written last."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from clients.vehicle.disk import Disk, full_disk_is_not_now, read_json
from clients.vehicle.errors import Reason, VerificationError

Slot = Literal["a", "b"]
BLOCK = 1 << 20


@dataclass(frozen=True)
class Image:
    """What is in a slot, or should be: a target by name, length and all its digests, with its release counter."""

    target_name: str
    length: int
    sha256: str
    sha512: str
    release_counter: int = 0
    name: str = ""
    version: str = ""


def other(slot: str) -> Slot:
    return "b" if slot == "a" else "a"


def blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


class Slots:
    """The two slots in the directory of one ECU."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk

    def path(self, slot: str) -> Path:
        return self._directory / slot / "image"

    def image(self, slot: str) -> Image | None:
        """Return what `slot` holds, None while it is empty or incomplete."""
        document = read_json(self._directory / slot / "meta.json")
        return None if document is None else Image(**document)

    def holds(self, slot: str, image: Image) -> bool:
        """Whether `slot` holds exactly `image`, by its bytes."""
        if self.image(slot) != image:
            return False
        digest = hashlib.sha256()
        for block in blocks(self.path(slot)):
            digest.update(block)
        return digest.hexdigest() == image.sha256

    def fill(self, slot: str, image: Image, content: Iterable[bytes]) -> None:
        """Write `content` into `slot`, which must not be the running one, checking it against `image` on the way.

        Raises:
            VerificationError: the bytes are not those of `image`; the slot is left empty.
            NotNowError: the disk is full; the slot is left empty.
        """
        directory = self._directory / slot
        self._disk.make_directory(directory)
        self._disk.remove(directory / "meta.json")
        self.path(slot).unlink(missing_ok=True)
        part = directory / "image.part"
        try:
            with full_disk_is_not_now():
                _write_checked(part, image, content)
                self._disk.sync(part)
        except Exception:
            part.unlink(missing_ok=True)
            raise
        self._disk.checkpoint(f"filled {directory.parent.name}/{slot}")
        with full_disk_is_not_now():
            os.replace(part, self.path(slot))
            self._disk.sync(directory)
        self._disk.write_json(directory / "meta.json", asdict(image))


def _write_checked(part: Path, image: Image, content: Iterable[bytes]) -> None:
    sha256, sha512, length = hashlib.sha256(), hashlib.sha512(), 0
    with part.open("wb") as file:
        for block in content:
            length += len(block)
            if length > image.length:
                break
            sha256.update(block)
            sha512.update(block)
            file.write(block)
    if (length, sha256.hexdigest(), sha512.hexdigest()) != (image.length, image.sha256, image.sha512):
        raise VerificationError(Reason.IMAGE_CORRUPT, f"{image.target_name} is not what was signed.")
