"""What a vehicle remembers between cycles beside its trust, its commit record and its journal."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clients.vehicle.disk import Disk, read_json

KEPT_ATTEMPTS = 50
KEPT_EVENTS = 500


@dataclass
class Memory:
    """Times in the one form of metadata, empty for never. Lists are bounded."""

    etag: str = ""
    etag_sha256: str = ""  # of the timestamp that `etag` stands for
    polling_seconds: float = 0.0
    roots_checked_at: str = ""
    verified_at: str = ""  # when the Director's timestamp was last fetched and verified
    manifest_images: str = ""  # what the last accepted manifest said is installed
    manifest_sent_at: str = ""
    reported_time: str = ""
    attacks: list[str] = field(default_factory=list)  # for the next manifest
    refusal: str = ""  # the last refusal, so that the same one is reported once
    finished: list[str] = field(default_factory=list)  # attempts that have ended here
    report: dict[str, str] | None = None  # for the next manifest
    events: list[dict[str, Any]] = field(default_factory=list)  # not yet taken by the server
    consents: list[dict[str, Any]] = field(default_factory=list)  # owners' answers, not yet taken either
    health_tried_at: str = ""  # when signals were last asked for and sent
    log_due: str = ""  # the failed attempt whose log the server has not got


class State:
    """`state.json`: read once, written when `save` finds a change."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self.memory = Memory(**(read_json(path) or {}))
        self._saved = self._text()

    def save(self) -> None:
        """Write the memory, if it has changed."""
        memory = self.memory
        # In place: whoever sends them holds the lists.
        for kept, limit in ((memory.finished, KEPT_ATTEMPTS), (memory.events, KEPT_EVENTS), (memory.consents, 100)):
            del kept[: max(0, len(kept) - limit)]
        text = self._text()
        if text != self._saved:
            self._disk.write(self._path, text.encode())
            self._saved = text

    def _text(self) -> str:
        return json.dumps(asdict(self.memory), sort_keys=True)
