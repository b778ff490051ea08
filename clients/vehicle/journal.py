"""Where the vehicle is in an installation. Each step is written down before it is acted on, so it may be repeated."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from clients.vehicle.disk import Disk, read_json
from clients.vehicle.order import Order


class Step(StrEnum):
    DOWNLOADING = "downloading"
    GATE = "gate"  # downloaded; waiting for window, preconditions and consent
    STAGING = "staging"  # filling the slots that do not run, the install hook, then the permit
    SWITCHING = "switching"  # writing the commit record
    TRIAL = "trial"  # the new slots run; health is judged
    CONFIRMING = "confirming"
    REVERTING = "reverting"


# From here on an order is not withdrawn any more, and no network is needed.
INSTALLING = frozenset({Step.SWITCHING, Step.TRIAL, Step.CONFIRMING, Step.REVERTING})


@dataclass(frozen=True)
class Entry:
    """The whole journal: one order and how far it is."""

    step: Step
    order: Order
    since: str  # when this step began
    held: str = ""  # why it was held when that was last reported
    are_notes_shown: bool = False
    bad_downloads: int = 0  # whole images that were not what was signed
    code: str = ""  # what is to be reported after reverting
    message: str = ""


class Journal:
    """`journal.json`; there is none while nothing goes on."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        document = read_json(path)
        self.entry = _read_entry(document) if document else None

    def write(self, entry: Entry) -> Entry:
        """Make `entry` the state of things, durably."""
        document = {**entry.__dict__, "order": entry.order.as_document()}
        self._disk.write_json(self._path, document)
        self.entry = entry
        return entry

    def advance(self, step: Step, since: str, **changes: Any) -> Entry:
        """Write the present entry with another step."""
        if self.entry is None:
            raise LookupError("nothing is going on.")
        return self.write(replace(self.entry, step=step, since=since, **changes))

    def close(self) -> None:
        self.entry = None
        self._disk.remove(self._path)


def _read_entry(document: Mapping[str, Any]) -> Entry:
    values = {**document, "step": Step(document["step"]), "order": Order.from_document(document["order"])}
    return Entry(**values)
