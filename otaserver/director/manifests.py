"""Vehicle version manifests (Uptane 5.4.2.1): the reference form, read strictly into what the Director judges.

A form of another client, with its own spelling of counters and signatures, is another reader that returns the same.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any, TypeVar
from uuid import UUID

from firmware_store.trust import primitives
from firmware_store.trust.errors import NotStrictJsonError
from otaserver.director.errors import ManifestMalformedError, ManifestTooLargeError, ManifestUnreadableError

MAX_BYTES = 256 * 1024
MAX_SIGNATURES = 8
MAX_NAME_LENGTH = 200
MAX_MESSAGE_LENGTH = 4096
OUTCOMES = frozenset({"none", "success", "failure", "refused"})
UNKNOWN_IMAGE = "unknown"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SIGNATURE = re.compile(r"([0-9a-f]{2}){1,1024}\Z")
T = TypeVar("T")


@dataclass(frozen=True)
class Signature:
    keyid: str
    signature: bytes


@dataclass(frozen=True)
class Signed:
    """The bytes that were signed, and who says to have done so; not verified yet.

    `names_keys_itself`: the key ids are the client's own, so that the ECU's key is tried whatever they say.
    """

    payload: bytes
    signatures: Sequence[Signature]
    names_keys_itself: bool = False


@dataclass(frozen=True)
class EcuReport:
    """What one ECU says of itself. `attacks` is empty or says what it saw.

    `counter` rises with each of its reports; None: some clients count in their Primary's reports alone.
    """

    serial: str
    target_name: str
    length: int
    sha256: str
    counter: int | None
    attacks: str
    time: str
    signed: Signed


@dataclass(frozen=True)
class ManifestReport:
    """What the Primary says came of an attempt, inside the signed manifest."""

    attempt: UUID
    outcome: str
    code: str
    message: str


@dataclass(frozen=True)
class VehicleManifest:
    """`vehicle_id` is None in a form that has none; `quirks` are findings that only the reader of a form can make."""

    vehicle_id: str | None
    primary_serial: str
    ecus: Sequence[EcuReport]
    report: ManifestReport | None
    signed: Signed
    quirks: Sequence[str] = ()


ManifestReader = Callable[[bytes], VehicleManifest]


def read_reference(body: bytes) -> VehicleManifest:
    """Read a manifest in the form of the reference client.

    Raises:
        ManifestTooLargeError: more than MAX_BYTES.
        ManifestUnreadableError: not strict JSON.
        ManifestMalformedError: JSON, but not a manifest; the details name the field.
    """
    if len(body) > MAX_BYTES:
        raise ManifestTooLargeError(f"A manifest has at most {MAX_BYTES} bytes; this one has {len(body)}.")
    envelope = _strict_json(body)
    content = _field(envelope, "signed", dict)
    reports = _field(content, "ecu_version_manifests", dict)
    return VehicleManifest(
        vehicle_id=_text(content, "vehicle_id", 64),
        primary_serial=_text(content, "primary_ecu_serial", 64),
        ecus=[_ecu_report(serial, report) for serial, report in reports.items()],
        report=_report(content),
        signed=_signed(envelope),
    )


def _strict_json(body: bytes) -> dict[str, Any]:
    try:
        return primitives.strict_loads(body, MAX_BYTES)
    except NotStrictJsonError as error:
        cause = error.__cause__
        where = {"line": cause.lineno, "column": cause.colno} if isinstance(cause, JSONDecodeError) else {}
        raise ManifestUnreadableError(f"The manifest is not strict JSON: {error}", **where) from error


def _signed(envelope: Mapping[str, Any]) -> Signed:
    try:
        payload = primitives.canonical(envelope["signed"])
    except NotStrictJsonError as error:
        raise ManifestMalformedError(f"The signed part has no canonical form: {error}", field="signed") from error
    found = _field(envelope, "signatures", list)
    if not 1 <= len(found) <= MAX_SIGNATURES:
        raise ManifestMalformedError(f"{len(found)} signatures; 1 to {MAX_SIGNATURES} are read.", field="signatures")
    return Signed(payload, [_signature(one, payload) for one in found])


def _signature(found: Any, payload: bytes) -> Signature:
    """Read one signature, whose hash object must fit the payload (Uptane 5.4.2.1.1)."""
    if not isinstance(found, dict):
        raise ManifestMalformedError("A signature is not an object.", field="signatures")
    if _text(found, "method", 20) != "ed25519":
        raise ManifestMalformedError("ECUs sign with the method ed25519.", field="method")
    stated = _field(found, "hash", dict)
    if stated != {"function": "sha256", "digest": hashlib.sha256(payload).hexdigest()}:
        raise ManifestMalformedError("The hash beside a signature is not the SHA-256 of what it signs.", field="hash")
    signature = _text(found, "sig", 2048)
    if not _SIGNATURE.match(signature):
        raise ManifestMalformedError("A signature is lower-case hex.", field="sig")
    return Signature(_text(found, "keyid", 64), bytes.fromhex(signature))


def _ecu_report(serial: str, envelope: Any) -> EcuReport:
    if not isinstance(envelope, dict):
        raise ManifestMalformedError(f"The report of ECU {serial} is not an object.", field=serial)
    content = _field(envelope, "signed", dict)
    if _text(content, "ecu_serial", 64) != serial:
        raise ManifestMalformedError(f"The report under {serial} is another ECU's.", field="ecu_serial")
    image = _field(content, "installed_image", dict)
    info = _field(image, "fileinfo", dict)
    sha256, length = _text(_field(info, "hashes", dict), "sha256", 64), _field(info, "length", int)
    counter = _field(content, "report_counter", int)
    if not _SHA256.match(sha256) or length < 0 or counter < 1:
        raise ManifestMalformedError(
            f"ECU {serial} reports {sha256!r} of {length} bytes with counter {counter}.", field="installed_image"
        )
    _text(content, "previous_timeserver_time", 20)
    return EcuReport(
        serial=serial,
        target_name=_text(image, "filepath", MAX_NAME_LENGTH),
        length=length,
        sha256=sha256,
        counter=counter,
        attacks=_text(content, "attacks_detected", MAX_MESSAGE_LENGTH, is_optional=True),
        time=_text(content, "timeserver_time", 20),
        signed=_signed(envelope),
    )


def _report(content: Mapping[str, Any]) -> ManifestReport | None:
    if content.get("report") is None:
        return None
    report = _field(content, "report", dict)
    outcome = _text(report, "outcome", 20)
    if outcome not in OUTCOMES:
        raise ManifestMalformedError(f"{outcome!r} is none of {', '.join(sorted(OUTCOMES))}.", field="outcome")
    try:
        attempt = UUID(_text(report, "attempt", 36))
    except ValueError as error:
        raise ManifestMalformedError("The report's attempt is not a UUID.", field="attempt") from error
    return ManifestReport(
        attempt,
        outcome,
        _text(report, "code", 80, is_optional=True),
        _text(report, "message", MAX_MESSAGE_LENGTH, is_optional=True),
    )


def _field(parent: Mapping[str, Any], name: str, kind: type[T]) -> T:
    found = parent.get(name)
    # By exact type: true and false are no integers.
    if type(found) is not kind:
        raise ManifestMalformedError(f"{name} is missing or no {kind.__name__}.", field=name)
    return found


def _text(parent: Mapping[str, Any], name: str, max_length: int, *, is_optional: bool = False) -> str:
    found = _field(parent, name, str)
    if len(found) > max_length or not (found or is_optional):
        raise ManifestMalformedError(f"{name} has {len(found)} characters, of at most {max_length}.", field=name)
    return found
