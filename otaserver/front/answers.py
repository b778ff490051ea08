"""The answers that are kept, in a few bytes each: a million vehicles poll in one process."""

import struct
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# The fields of `Kept`, but the last: opened with every poll, and so without making a `Kept` of them.
_HEAD = struct.Struct("<IqqdII")
_CONTACT = struct.Struct("<I")
head_of = _HEAD.unpack_from
# What a key and its place in the dictionary take, beside the entry itself.
_OVERHEAD = 130
# No request with a credential: only as many as tenants' next roots could be.
_MAX_FOR_ALL = 10_000


@dataclass(frozen=True)
class Pattern:
    """What many answers have in common. `etag`: "" for none, "same" as in the request, or "own"."""

    tenant: int
    counted: tuple[str, str, str]
    status: str
    headers: tuple[tuple[str, str], ...]
    etag: str


class Kept(NamedTuple):
    """One answer as it is kept.

    `rest`: hash of what else was asked; `since`: the count of changes at which it was begun; times in seconds since
    1970; `content`: an own ETag, a line end, and the body.
    """

    contact_at: int
    owner: int
    rest: int
    until: float
    since: int
    pattern: int
    content: bytes = b""

    def packed(self) -> bytes:
        return _HEAD.pack(*self[:-1]) + self.content


def content_of(entry: bytes) -> bytes:
    return entry[_HEAD.size :]


class Answers:
    """Answers by the key of their request. Reading needs no lock: an entry is one object, replaced as a whole."""

    def __init__(self, *, max_bytes: int) -> None:
        self.patterns: list[Pattern] = []
        self._numbers: dict[Pattern, int] = {}
        self._entries: dict[bytes, bytes] = {}
        self._max_bytes = max_bytes
        self._bytes = 0
        self._for_all = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> bytes | None:
        """Return what was kept, packed."""
        return self._entries.get(key)

    def number_of(self, pattern: Pattern) -> int:
        with self._lock:
            if pattern not in self._numbers:
                self.patterns.append(pattern)
                self._numbers[pattern] = len(self.patterns) - 1
            return self._numbers[pattern]

    def keep(self, key: bytes, kept: Kept) -> bool:
        """Keep an answer, in the place of the one before of the same key; return whether it fits."""
        entry = kept.packed()
        with self._lock:
            before = self._entries.get(key)
            grows = _size(entry) - (0 if before is None else _size(before))
            is_new_for_all = kept.owner < 0 and before is None
            if self._bytes + grows > self._max_bytes or (is_new_for_all and self._for_all >= _MAX_FOR_ALL):
                return False
            self._entries[key] = entry
            self._bytes += grows
            self._for_all += is_new_for_all
            return True

    def note_contact(self, key: bytes, entry: bytes, contact_at: int) -> None:
        """Keep it on with this time of the last contact, unless another one has taken its place, or none."""
        noted = _CONTACT.pack(contact_at) + entry[_CONTACT.size :]
        with self._lock:
            if self._entries.get(key) is entry:
                self._entries[key] = noted

    def sweep(self, keys: Sequence[bytes], *, now: float) -> None:
        """Let go of those of these keys that have ended."""
        for key in keys:
            with self._lock:
                entry = self._entries.get(key)
                if entry is None:
                    continue
                _, owner, _, until, _, _ = head_of(entry)
                if until <= now:
                    del self._entries[key]
                    self._bytes -= _size(entry)
                    self._for_all -= owner < 0

    def keys(self) -> list[bytes]:
        return list(self._entries)


def _size(entry: bytes) -> int:
    return sys.getsizeof(entry) + _OVERHEAD
