"""What a device may say of itself when it asks to be let in, and which vehicle that would be: pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

MAX_MEMBERS = 20
MAX_TEXT_LENGTH = 255
# Members that name a vehicle, best first; a single member names it whatever it is called.
NAMING = ("vehicle_id", "vin", "serial", "serial_number", "mac")
_VEHICLE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+~=-]{0,63}\Z")


def identity_problem(identity: Any) -> str | None:
    """Return why this cannot be a device's identity, as a sentence, or None if it can."""
    if not isinstance(identity, Mapping) or not 1 <= len(identity) <= MAX_MEMBERS:
        return f"An identity is an object of 1 to {MAX_MEMBERS} members."
    for name, value in identity.items():
        texts = value if isinstance(value, list) else [value]
        if not texts or len(texts) > MAX_MEMBERS or not all(_is_text(text) for text in [name, *texts]):
            return (
                f"The member {name[:80]!r} of an identity is a text, or a list of at most {MAX_MEMBERS}, of 1 to "
                f"{MAX_TEXT_LENGTH} printable characters."
            )
    return None


def identity_sha256(identity: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an identity, however its JSON was spelt: the order of members says nothing."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def proposed_vehicle_id(identity: Mapping[str, Any]) -> str:
    """Return the id of the vehicle that this would be, or "": whoever accepts it says which one."""
    names = [name for name in NAMING if name in identity] or (list(identity) if len(identity) == 1 else [])
    value = identity[names[0]] if names else None
    return value if isinstance(value, str) and _VEHICLE_ID.match(value) else ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_TEXT_LENGTH and value.isprintable()
