"""A file with which a fleet arrives, line by line: an arrival, or what is wrong with the line. Pure."""

import codecs
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from otaserver import storable
from otaserver.errors import OtaError
from otaserver.fleet import rules
from otaserver.fleet.rules import EcuDeclaration, Value
from otaserver.fleet.states import ImportKind, Protocol

MAX_LINE_BYTES = 64 * 1024
MAX_GROUPS = 50
# What an operator may choose: a code can be tried from anywhere, and must not be found by trying.
MIN_CODE_LENGTH = 16
_FIELDS = ("vehicle_id", "protocol", "time_zone", "ecus", "token", "claim_code", "attributes", "groups")
_COLUMNS = (*_FIELDS[:3], "serial", "hardware_id", "ecus", "token", "claim_code", "groups")
_ATTRIBUTE = "attribute."
_PROTOCOLS = {str(one): one for one in Protocol}


@dataclass(frozen=True)
class Problem:
    """Why one line is left out. `value` is what stands there; secrets are never shown."""

    line: int
    code: str
    value: str
    rule: str


@dataclass(frozen=True)
class Arrival:
    """One vehicle of a fleet that comes from elsewhere. An ECU without a key has an empty key object."""

    line: int
    vehicle_id: str
    protocol: Protocol
    time_zone: str
    ecus: tuple[EcuDeclaration, ...] = ()
    token: str = field(default="", repr=False)
    claim_code: str = field(default="", repr=False)
    attributes: Mapping[str, Value | None] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


class _BadError(Exception):
    """What is wrong with a line, on its way to its number."""

    def __init__(self, code: str, value: object, rule: str) -> None:
        super().__init__(rule)
        self.code, self.value, self.rule = code, value, rule


def read(file: IO[bytes], kind: ImportKind, attributes: Mapping[str, str]) -> Iterator[Arrival | Problem]:
    """Yield what each line of a file says; `attributes` are the types of those that the tenant has declared, by name.

    Empty lines say nothing. The first line of CSV names its columns.
    """
    lines = _lines(file)
    raw = _json_lines(lines) if kind == ImportKind.JSON_LINES else _csv_lines(lines)
    for number, found in raw:
        if isinstance(found, _BadError):
            yield _problem(number, found)
            continue
        try:
            yield _arrival(number, found, attributes, is_text=kind == ImportKind.CSV)
        except _BadError as bad:
            yield _problem(number, bad)


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | _BadError]]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            # Spreadsheets and editors of some systems begin a file with it.
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) <= MAX_LINE_BYTES:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)
        yield number, _BadError("line.too_long", "", f"A line has at most {MAX_LINE_BYTES} bytes.")


def _json_lines(lines: Iterator[tuple[int, bytes | _BadError]]) -> Iterator[tuple[int, dict[str, Any] | _BadError]]:
    for number, line in lines:
        if isinstance(line, _BadError):
            yield number, line
        elif line.strip():
            yield number, _json(line)


def _json(line: bytes) -> dict[str, Any] | _BadError:
    try:
        found = storable.parse(line)
        storable.refuse_unstorable(found)
    except ValueError as error:
        return _BadError("line.malformed", "", f"A line is a JSON object: {str(error)[:100]}.")
    if not isinstance(found, dict):
        return _BadError("line.malformed", type(found).__name__, "A line is a JSON object.")
    return found


def _csv_lines(lines: Iterator[tuple[int, bytes | _BadError]]) -> Iterator[tuple[int, dict[str, Any] | _BadError]]:
    columns: list[str] | None = None
    for number, line in lines:
        cells = _cells(line)
        if isinstance(cells, _BadError):
            yield number, cells
        elif cells and columns is None:
            columns, problem = cells, _columns_problem(cells)
            if problem:
                # Nobody knows what the other lines say.
                yield number, problem
                return
        elif cells and columns is not None:
            yield number, _from_cells(columns, cells)


def _cells(line: bytes | _BadError) -> list[str] | _BadError:
    if isinstance(line, _BadError):
        return line
    try:
        text = line.decode("utf-8").rstrip("\r\n")
        rows = list(csv.reader([text], strict=True)) if text.strip() else []
    except (UnicodeDecodeError, csv.Error) as error:
        return _BadError("line.malformed", "", f"A line is CSV in UTF-8, all in one line: {str(error)[:100]}.")
    if "\0" in text:
        return _BadError("line.malformed", "", "A line holds no NUL.")
    return rows[0] if rows else []


def _columns_problem(columns: Sequence[str]) -> _BadError | None:
    unknown = [one for one in columns if one not in _COLUMNS and not one.startswith(_ATTRIBUTE)]
    if unknown or "vehicle_id" not in columns or len(set(columns)) != len(columns):
        rule = f"The columns are vehicle_id, and any of {', '.join(_COLUMNS[1:])} and attribute.NAME, each once."
        return _BadError("line.columns", unknown[0] if unknown else ",".join(columns), rule)
    return None


def _from_cells(columns: Sequence[str], cells: Sequence[str]) -> dict[str, Any] | _BadError:
    if len(cells) != len(columns):
        return _BadError("line.malformed", len(cells), f"A line has {len(columns)} cells, as the first one has.")
    # An empty cell says nothing.
    named = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
    found: dict[str, Any] = {name: named[name] for name in named if name in _FIELDS and name not in ("ecus", "groups")}
    found["attributes"] = {
        name.removeprefix(_ATTRIBUTE): cell for name, cell in named.items() if name.startswith(_ATTRIBUTE)
    }
    found["groups"] = [one.strip() for one in named.get("groups", "").split(";") if one.strip()]
    alone = {"serial", "hardware_id"} & named.keys()
    if alone == {"serial"} or (alone and "ecus" in named):
        rule = "ECUs are the cell `ecus`, or one of the cell `hardware_id`, with or without `serial`."
        return _BadError("ecu.refused", named.get("serial", named.get("hardware_id")), rule)
    if "ecus" in named:
        try:
            found["ecus"] = storable.parse(named["ecus"].encode())
            storable.refuse_unstorable(found["ecus"])
        except ValueError:
            return _BadError("line.malformed", named["ecus"][:80], "The cell `ecus` is a JSON list.")
    elif alone:
        serial = named.get("serial", named.get("vehicle_id", ""))
        found["ecus"] = [{"serial": serial, "hardware_id": named["hardware_id"]}]
    return found


def _arrival(number: int, found: dict[str, Any], attributes: Mapping[str, str], *, is_text: bool) -> Arrival:
    unknown = sorted(set(found) - set(_FIELDS))
    if unknown:
        raise _BadError("line.unknown_field", unknown[0], f"The fields are {', '.join(_FIELDS)}.")
    vehicle_id, protocol = _text(found, "vehicle_id"), _protocol(found)
    _checked(rules.check_vehicle_id, vehicle_id)
    time_zone = _text(found, "time_zone")
    if time_zone:
        _checked(rules.check_time_zone, time_zone)
    return Arrival(
        line=number,
        vehicle_id=vehicle_id,
        protocol=protocol,
        time_zone=time_zone,
        ecus=_ecus(found),
        token=_secret(found, "token", protocol, (Protocol.DDI,)),
        claim_code=_code(found, protocol),
        attributes=_attributes(found, attributes, is_text=is_text),
        groups=_groups(found),
    )


def _protocol(found: Mapping[str, Any]) -> Protocol:
    name = _text(found, "protocol") or str(Protocol.UPTANE)
    if name not in _PROTOCOLS:
        raise _BadError("vehicle.protocol_unknown", name, f"The protocol is one of {', '.join(_PROTOCOLS)}.")
    return _PROTOCOLS[name]


def _ecus(found: Mapping[str, Any]) -> tuple[EcuDeclaration, ...]:
    listed = _given(found, "ecus", [])
    shape = "`ecus` is a list of objects with serial, hardware_id and, if it has one, public_key; the Primary first."
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise _BadError("ecu.refused", listed, shape)
    ecus = []
    for number, one in enumerate(listed):
        key = _given(one, "public_key", {})
        if set(one) - {"serial", "hardware_id", "public_key"} or not isinstance(key, dict):
            raise _BadError("ecu.refused", sorted(one), shape)
        ecus.append(EcuDeclaration(_text(one, "serial"), _text(one, "hardware_id"), number == 0, key))
    if ecus:
        _checked(rules.check_ecus, ecus)
    return tuple(ecus)


def _code(found: Mapping[str, Any], protocol: Protocol) -> str:
    code = _secret(found, "claim_code", protocol, (Protocol.UPTANE, Protocol.AKTUALIZR))
    plain = code.replace("-", "").replace(" ", "")
    if code and (len(plain) < MIN_CODE_LENGTH or not plain.isascii() or not plain.isalnum()):
        rule = f"A claim code has at least {MIN_CODE_LENGTH} letters and digits; hyphens and spaces do not count."
        raise _BadError("claim.refused", f"{len(plain)} characters", rule)
    return code


def _secret(found: Mapping[str, Any], name: str, protocol: Protocol, protocols: Sequence[Protocol]) -> str:
    secret = _given(found, name, "")
    if not isinstance(secret, str):
        raise _BadError("line.malformed", name, f"`{name}` is a text.")
    if secret and protocol not in protocols:
        code = "shared_token.refused" if name == "token" else "claim.refused"
        raise _BadError(code, protocol, f"`{name}` is for the protocol {' or '.join(protocols)}.")
    return secret


def _attributes(found: Mapping[str, Any], declared: Mapping[str, str], *, is_text: bool) -> dict[str, Value | None]:
    said = _given(found, "attributes", {})
    if not isinstance(said, dict):
        raise _BadError("line.malformed", type(said).__name__, "`attributes` is an object.")
    values: dict[str, Value | None] = {}
    for name, value in said.items():
        if name not in declared:
            raise _BadError("attribute.unknown", name, "An attribute is declared before vehicles have it.")
        kind = declared[name]
        typed = rules.value_in_text(kind, value) if is_text else rules.typed_value(kind, value)
        if typed is None and value is not None:
            raise _BadError("attribute.value_refused", value, f"{name}: {rules.TYPE_RULES[kind]}.")
        values[name] = typed
    return values


def _groups(found: Mapping[str, Any]) -> tuple[str, ...]:
    names = _given(found, "groups", [])
    if not isinstance(names, list) or len(names) > MAX_GROUPS or not all(isinstance(one, str) for one in names):
        raise _BadError("line.malformed", "groups", f"`groups` is a list of at most {MAX_GROUPS} names.")
    for name in names:
        problem = rules.group_name_problem(name)
        if problem:
            raise _BadError("group.name_refused", name, problem)
    return tuple(dict.fromkeys(names))


def _given(found: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    """Return a field's value; null says as little as no field."""
    value = found.get(name)
    return otherwise if value is None else value


def _text(found: Mapping[str, Any], name: str) -> str:
    value = _given(found, name, "")
    if not isinstance(value, str):
        raise _BadError("line.malformed", value, f"`{name}` is a text.")
    return value


def _checked(check: Any, value: Any) -> None:
    try:
        check(value)
    except OtaError as error:
        shown = value if isinstance(value, str) else ", ".join(one.serial for one in value)
        raise _BadError(error.code, shown, error.message) from error


def _problem(line: int, bad: _BadError) -> Problem:
    shown = bad.value if isinstance(bad.value, str) else json.dumps(bad.value, default=str)
    # Printable, so that the report can be stored and shown.
    return Problem(line, bad.code, "".join(one if one.isprintable() else "?" for one in shown[:200]), bad.rule[:500])
