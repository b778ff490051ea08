"""The commit record: the one file that decides which slot each ECU starts from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from clients.vehicle.disk import Disk, read_json
from clients.vehicle.slots import Slot, other


@dataclass(frozen=True)
class Commit:
    """What starts now, and while that is on trial, what starts if it proves bad.

    `counters` are the release counters that this vehicle has committed to: never lower again. `starts` counts trials
    that were cut short before their health was judged, and the one that is being judged.
    """

    slots: Mapping[str, Slot]
    counters: Mapping[str, int] = field(default_factory=dict)
    state: Literal["committed", "trial"] = "committed"
    previous: Mapping[str, Slot] = field(default_factory=dict)
    attempt: str = ""
    starts: int = 0

    def trial_of(self, attempt: str, serials: frozenset[str]) -> "Commit":
        """Return the record that starts the other slot of each of `serials`, all at once."""
        slots = {serial: other(slot) if serial in serials else slot for serial, slot in self.slots.items()}
        return replace(self, slots=slots, state="trial", previous=self.slots, attempt=attempt, starts=0)

    def confirmed(self, counters: Mapping[str, int]) -> "Commit":
        """Return the record that keeps what is on trial and raises the counters."""
        raised = {**self.counters, **counters}
        return replace(self, state="committed", previous={}, starts=0, counters=raised)

    def reverted(self) -> "Commit":
        """Return the record that starts the previous slots again."""
        return replace(self, slots=self.previous, state="committed", previous={}, attempt="", starts=0)


class CommitRecord:
    """`commit.json` in the Primary's state directory."""

    def __init__(self, path: Path, serials: tuple[str, ...], disk: Disk) -> None:
        self._path = path
        self._disk = disk
        document = read_json(path)
        # An ECU that came later, in place of one that was swapped, starts in its first slot.
        first: dict[str, Slot] = dict.fromkeys(serials, "a")
        self.current = Commit(**document) if document else Commit(slots=first)
        slots, previous = {**first, **self.current.slots}, self.current.previous
        self.current = replace(self.current, slots=slots, previous={**first, **previous} if previous else {})

    def write(self, commit: Commit) -> None:
        """Make `commit` the truth, atomically."""
        self._disk.write_json(self._path, asdict(commit))
        self.current = commit
