"""Time that an ECU may trust: the later of its own clock and the last time that the Director has signed for it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Root, Signed, Timestamp

from clients.vehicle.disk import Disk
from clients.vehicle.errors import Reason, VerificationError
from clients.vehicle.order import format_time, parse_time
from clients.vehicle.trust import TrustStore


def trusted_time(store: TrustStore, at: datetime) -> datetime:
    """Return the later of the system's time `at` and the last verified signed time."""
    signed = store.signed_time()
    return max(at, parse_time(signed)) if signed else at


class StartTime:
    """The start time of one cycle: never before the last signed time, unless the key that signed it is gone."""

    def __init__(self, store: TrustStore, at: datetime) -> None:
        self._store = store
        self._old_root = store.read("director", "root.json") or b""
        self._at = at
        self._signed_time = store.signed_time()
        self.time = at

    def decide(self, root: Root) -> datetime:
        """Return the time to judge by, under the Director's newest `root` (TUF 5.1)."""
        old: Root = Metadata[Root].from_bytes(self._old_root).signed
        if set(old.roles["timestamp"].keyids) != set(root.roles["timestamp"].keyids):
            self._signed_time = ""
        self.time = max(self._at, parse_time(self._signed_time)) if self._signed_time else self._at
        return self.time

    def keep(self, scratch: Path, timestamp: Timestamp, beside: Sequence[Signed], disk: Disk) -> None:
        """Keep in `scratch` the time that `timestamp` signs, if any and if nothing `beside` it had ended by then.

        Raises:
            VerificationError: a time that cannot be.
        """
        kept = self._signed_time
        text = timestamp.unrecognized_fields.get("signed_at")
        if text is not None:
            signed = _read_time(text)
            if any(role.is_expired(signed) for role in (timestamp, *beside)):
                raise VerificationError(Reason.CLOCK, f"{text} is after the end of the metadata beside it.")
            kept = max(kept, format_time(signed))
        if kept != self._store.signed_time():
            disk.write_json(scratch / "time.json", {"signed_time": kept})


def _read_time(text: Any) -> datetime:
    try:
        return parse_time(text)
    except (TypeError, ValueError) as error:
        raise VerificationError(Reason.CLOCK, f"{text!r} is not a time.") from error
