"""What may stand in an enrolment, an attribute or a group, and how many wrong claim codes are too many: pure."""

import hashlib
import ipaddress
import math
import re
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from otaserver.fleet.errors import (
    AttributeTypeRefusedError,
    AttributeValueRefusedError,
    EcusRefusedError,
    TimeZoneUnknownError,
    VehicleIdRefusedError,
)
from otaserver.fleet.states import AttributeType, Protocol

# Who did what a vehicle did, in the audit record: an entry's actor stays for ever, and names none of them.
VEHICLE = "vehicle"
MAX_ECUS = 100
MAX_TEXT = 255
# What stands in addresses, certificates and signed metadata alike, without escaping in any of them.
_VEHICLE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+~=-]{0,63}\Z")
_ECU_WORD = re.compile(r"[!-~]{1,64}\Z")
# The filter language's names, so that every attribute can be filtered by.
_ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")

GUESS_WINDOW = timedelta(minutes=10)
GUESSES_PER_ADDRESS = 10
GUESSES_PER_TENANT = 1000


@dataclass(frozen=True)
class EcuDeclaration:
    """What a vehicle says of one of its ECUs; `public_key` is a TUF key object."""

    serial: str
    hardware_id: str
    is_primary: bool
    public_key: Mapping[str, Any]


@dataclass(frozen=True)
class EnrolmentRequest:
    """What a vehicle brings to become known: its id, the right to it, its ECUs and perhaps a PEM PKCS#10 request."""

    vehicle_id: str
    claim_code: str
    ecus: tuple[EcuDeclaration, ...]
    certificate_request: str | None = None
    protocol: Protocol = Protocol.UPTANE


@cache
def time_zones() -> frozenset[str]:
    """Return the names of all time zones of the IANA database that a vehicle may be in."""
    # Not zones, but files that systems keep beside them.
    return frozenset(zoneinfo.available_timezones() - {"Factory", "localtime", "posixrules"})


@lru_cache(1024)
def zone_of(name: str) -> zoneinfo.ZoneInfo | None:
    """Return the time zone of that name, or None: there is none, and nobody knows what the vehicle's clock shows."""
    return zoneinfo.ZoneInfo(name) if name in time_zones() else None


def check_time_zone(name: str) -> None:
    """Raise TimeZoneUnknownError unless `name` is a time zone of the IANA database, written as there."""
    if name not in time_zones():
        raise TimeZoneUnknownError(
            f"A time zone is a name of the IANA database, like Europe/Berlin; {name[:64]!r} is none.",
            time_zone=name[:64],
        )


def check_vehicle_id(vehicle_id: str) -> None:
    """Raise VehicleIdRefusedError unless `vehicle_id` can name a vehicle."""
    if not _VEHICLE_ID.match(vehicle_id):
        raise VehicleIdRefusedError(
            f"A vehicle id is 1 to 64 letters, digits and . _ : @ + ~ = - (first a letter or digit); {vehicle_id!r} "
            "is not.",
            vehicle_id=vehicle_id,
        )


def is_ecu_word(word: str) -> bool:
    """Return whether `word` can be an ECU's serial or hardware id."""
    return _ECU_WORD.match(word) is not None


def check_ecus(ecus: Sequence[EcuDeclaration]) -> None:
    """Raise EcusRefusedError unless these can be the ECUs of one vehicle; their keys are not looked at."""
    if not 1 <= len(ecus) <= MAX_ECUS:
        raise EcusRefusedError(f"A vehicle has 1 to {MAX_ECUS} ECUs, not {len(ecus)}.", count=len(ecus))
    for ecu in ecus:
        for noun, word in (("serial", ecu.serial), ("hardware id", ecu.hardware_id)):
            if not _ECU_WORD.match(word):
                raise EcusRefusedError(
                    f"An ECU's {noun} is 1 to 64 printable ASCII characters without spaces; {word!r} is not.",
                    serial=ecu.serial,
                )
    primaries = sorted(ecu.serial for ecu in ecus if ecu.is_primary)
    if len(primaries) != 1:
        raise EcusRefusedError(f"Exactly one ECU is the Primary, not {len(primaries)}.", primaries=primaries)
    repeated = _first_repeated([ecu.serial for ecu in ecus])
    if repeated is not None:
        raise EcusRefusedError(f"The serial {repeated!r} stands for two ECUs.", serial=repeated)


def check_distinct_keys(keyids: Mapping[str, str]) -> None:
    """Raise EcusRefusedError if two serials have one key id: one ECU could then report for the other."""
    repeated = _first_repeated(list(keyids.values()))
    if repeated is not None:
        serials = sorted(serial for serial, keyid in keyids.items() if keyid == repeated)
        raise EcusRefusedError(f"The ECUs {' and '.join(serials)} have the same key.", serials=serials)


def _first_repeated(words: Sequence[str]) -> str | None:
    return next((word for index, word in enumerate(words) if word in words[:index]), None)


def claim_code_sha256(code: str) -> str:
    """Return the form in which claim codes are stored. Case, hyphens and spaces of the typed form do not matter."""
    plain = code.replace("-", "").replace(" ", "").upper()
    # A lone surrogate, which JSON can carry, is a wrong code like any other.
    return hashlib.sha256(plain.encode(errors="replace")).hexdigest()


def guesser(address: str) -> str:
    """Return whom wrong codes from `address` count against: an IPv6 sender owns the whole /64 of its address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:45]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed.packed, 64), strict=False))[:45]
    return str(parsed)


def seconds_until_next_guess(failures: Sequence[datetime], *, limit: int, at: datetime) -> int:
    """Return how long a sender with these failures, newest first, has to wait, in whole seconds; 0: not at all."""
    counted = [failure for failure in failures if failure > at - GUESS_WINDOW]
    if len(counted) < limit:
        return 0
    return max(1, math.ceil((counted[limit - 1] + GUESS_WINDOW - at).total_seconds()))


def attribute_name_problem(name: str) -> str | None:
    """Return why `name` cannot name an attribute, as a sentence, or None if it can."""
    if not _ATTRIBUTE_NAME.match(name):
        return f"An attribute's name is 1 to 63 of a-z, 0-9 and _, first a letter; {name!r} is not."
    return None


def attribute_type(word: str) -> AttributeType:
    """Return the attribute type of that name, or raise AttributeTypeRefusedError."""
    if word not in AttributeType.values:
        known = ", ".join(AttributeType.values)
        raise AttributeTypeRefusedError(f"An attribute is one of {known}; {word!r} is none.", type=word)
    return AttributeType(word)


def group_name_problem(name: str) -> str | None:
    """Return why `name` cannot name a group, as a sentence, or None if it can."""
    if not 1 <= len(name) <= 100 or not name.isprintable() or name != name.strip():
        return f"A group's name is 1 to 100 printable characters without outer spaces; {name!r} is not."
    return None


def parse_time(text: str) -> datetime | None:
    """Return the time in UTC that an ISO 8601 date or time says, or None. One without an offset is in UTC."""
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str | None:
    # Printable excludes NUL and lone surrogates, which no database takes.
    return value if isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable() else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _time(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo is not None else None
    return parse_time(value) if isinstance(value, str) else None


Value = str | float | bool | datetime
_PARSERS: Mapping[str, Callable[[object], Value | None]] = {
    AttributeType.TEXT: _text,
    AttributeType.NUMBER: _number,
    AttributeType.BOOLEAN: _boolean,
    AttributeType.TIME: _time,
}
TYPE_RULES: Mapping[str, str] = {
    AttributeType.TEXT: f"text is at most {MAX_TEXT} printable characters",
    AttributeType.NUMBER: "a number is finite",
    AttributeType.BOOLEAN: "a boolean is true or false",
    AttributeType.TIME: "a time is an ISO 8601 string such as 2026-06-01T12:00:00Z",
}


def typed_value(type_: str, value: object) -> Value | None:
    """Return `value` as that attribute type stores it, or None if it is none of that type (TYPE_RULES says why)."""
    return _PARSERS[type_](value)


def attribute_value(name: str, type_: str, value: object) -> Value:
    """Return `value` as the attribute's type stores it, or raise AttributeValueRefusedError."""
    parsed = typed_value(type_, value)
    if parsed is None:
        shown, rule = repr(value)[:80], TYPE_RULES[type_]
        raise AttributeValueRefusedError(
            f"Attribute {name} is of type {type_} and cannot hold {shown}: {rule}.",
            attribute=name,
            value=shown,
            rule=rule,
        )
    return parsed


def declared_name(reported: str) -> str:
    """Return the name of the declared attribute that a reported one sets: `hwRevision` sets `hwrevision`."""
    return re.sub(r"[^a-z0-9]", "_", reported.lower())


def value_in_text(type_: str, text: str) -> Value | None:
    """Return the value of that attribute type which a vehicle wrote as text, or None if it is none."""
    if type_ == AttributeType.NUMBER:
        try:
            return _number(float(text))
        except ValueError:
            return None
    if type_ == AttributeType.BOOLEAN:
        return {"true": True, "false": False}.get(text.lower())
    return typed_value(type_, text)


def plain_serial(serial: str) -> str:
    """Return the serial number of a certificate as it is stored, however a proxy writes it."""
    return serial.replace(":", "").lower().lstrip("0")[:64]
