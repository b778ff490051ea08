"""How an entry is hashed. A reader with the entries alone can check the whole chain."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

GENESIS = "0" * 64


@dataclass(frozen=True)
class ChainedEntry:
    """What the hash of an entry covers, and the hash it claims."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    previous_hash: str
    hash: str


def entry_hash(
    *, number: int, at: datetime, actor: str, action: str, subject: str, details: Mapping[str, Any], previous_hash: str
) -> str:
    """Return the SHA-256 (64 hex digits) over the canonical form of an entry, its predecessor's hash included."""
    body = {
        "number": number,
        "at": at.isoformat(timespec="microseconds"),
        "actor": actor,
        "action": action,
        "subject": subject,
        "details": details,
        "previous_hash": previous_hash,
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def first_break(entries: Iterable[ChainedEntry]) -> int | None:
    """Return the number of the first entry that was changed, removed or inserted, or None if the chain holds.

    A cut at the end shows only against the head (`Chain.length`, `Chain.head_hash`).
    """
    previous, expected = GENESIS, 1
    for entry in entries:
        computed = entry_hash(
            number=entry.number,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            details=entry.details,
            previous_hash=previous,
        )
        if entry.number != expected or entry.previous_hash != previous or entry.hash != computed:
            return expected
        previous, expected = entry.hash, expected + 1
    return None
