"""How an entry is hashed. A reader with the entries alone can check the whole chain.

What an entry says (subject and details) enters its hash as a salted digest, so that it can be erased later, salt and
all, without breaking the chain: then nobody can prove any more what stood there, or guess it, but still that an entry
stood there, by whom, when, and that its erasure is itself recorded. An erasure that no later entry records is a break.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

GENESIS = "0" * 64
# The action of entries whose details list, as `entries`, the numbers of those before them that were erased.
ERASURE = "audit.erased"


@dataclass(frozen=True)
class ChainedEntry:
    """What the hash of an entry covers, and the hash it claims. An erased one has no salt."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    previous_hash: str
    hash: str
    salt: str
    content_sha256: str


def content_digest(*, salt: str, subject: str, details: Mapping[str, Any]) -> str:
    """Return the SHA-256 (64 hex digits) over what an entry says, which the salt keeps from being guessed."""
    return _digest({"salt": salt, "subject": subject, "details": details})


def entry_hash(*, number: int, at: datetime, actor: str, action: str, content_sha256: str, previous_hash: str) -> str:
    """Return the SHA-256 (64 hex digits) over the canonical form of an entry, its predecessor's hash included."""
    return _digest(
        {
            "number": number,
            "at": at.isoformat(timespec="microseconds"),
            "actor": actor,
            "action": action,
            "content_sha256": content_sha256,
            "previous_hash": previous_hash,
        }
    )


def first_break(entries: Iterable[ChainedEntry]) -> int | None:
    """Return the number of the first entry that was changed, removed, inserted or erased unrecorded, or None.

    A cut at the end shows only against the head (`Chain.length`, `Chain.head_hash`).
    """
    previous, expected = GENESIS, 1
    unrecorded: set[int] = set()
    for entry in entries:
        if entry.number != expected or entry.previous_hash != previous or not _holds(entry):
            return min(unrecorded | {expected})
        if not entry.salt:
            unrecorded.add(entry.number)
        elif entry.action == ERASURE:
            unrecorded -= set(entry.details.get("entries", ()))
        previous, expected = entry.hash, expected + 1
    return min(unrecorded, default=None)


def _holds(entry: ChainedEntry) -> bool:
    computed = entry_hash(
        number=entry.number,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        content_sha256=entry.content_sha256,
        previous_hash=entry.previous_hash,
    )
    if entry.hash != computed:
        return False
    if not entry.salt:
        return True
    content = content_digest(salt=entry.salt, subject=entry.subject, details=entry.details)
    return content == entry.content_sha256


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
