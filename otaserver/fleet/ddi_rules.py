"""What a tenant may settle for its DDI vehicles: pure."""

from collections.abc import Mapping
from typing import Any

from otaserver.fleet import rules

MAX_PARTS = 100
MAX_AUTHORITIES = 20
MAX_WORD = 128


def settings_problem(changes: Mapping[str, Any]) -> str | None:
    """Return why these cannot be settings for DDI vehicles, as a sentence, or None if they can."""
    hardware = changes.get("default_hardware_id", "unknown")
    if not rules.is_ecu_word(hardware):
        return f"A hardware id is 1 to 64 printable ASCII characters without spaces; {hardware!r} is not."
    for name in ("hardware_attribute", "version_attribute"):
        if not _is_attribute(changes.get(name, "")):
            return f"{name} names an attribute in at most {MAX_WORD} printable characters; {changes[name]!r} does not."
    return _parts_problem(changes.get("chunk_parts", {})) or _authorities_problem(changes.get("authorities", []))


def _is_attribute(name: str) -> bool:
    return len(name) <= MAX_WORD and name.isprintable()


def _parts_problem(parts: Mapping[str, str]) -> str | None:
    if len(parts) > MAX_PARTS:
        return f"Parts are named for at most {MAX_PARTS} hardware ids, not {len(parts)}."
    for hardware, part in parts.items():
        if not (rules.is_ecu_word(hardware) and rules.is_ecu_word(part)):
            return (
                f"Hardware ids and parts are 1 to 64 printable ASCII characters without spaces; {hardware!r}: {part!r}."
            )
    return None


def _authorities_problem(authorities: list[str]) -> str | None:
    if len(authorities) > MAX_AUTHORITIES:
        return f"At most {MAX_AUTHORITIES} authorities are believed, not {len(authorities)}."
    for authority in authorities:
        if not 1 <= len(authority) <= MAX_WORD or not authority.isprintable() or "," in authority:
            return (
                f"An authority is named in 1 to {MAX_WORD} printable characters without commas; {authority!r} is not."
            )
    return None
