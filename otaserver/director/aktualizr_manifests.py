"""Vehicle version manifests in aktualizr's form, read into what the Director judges.

It differs from the Standard, and all of it is taken as it is: no vehicle id (the certificate says who sends it), no
hash beside signatures, key ids of its own making, base64, a counter as text and in the Primary's report alone, and
times that never change (uptane/aktualizr e5118a74).
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from firmware_store.trust import primitives
from firmware_store.trust.errors import NotStrictJsonError
from otaserver.director.aktualizr_results import printable, read_report
from otaserver.director.errors import ManifestMalformedError, ManifestTooLargeError, ManifestUnreadableError
from otaserver.director.manifests import (
    MAX_BYTES,
    MAX_MESSAGE_LENGTH,
    MAX_NAME_LENGTH,
    MAX_SIGNATURES,
    UNKNOWN_IMAGE,
    EcuReport,
    Signature,
    Signed,
    VehicleManifest,
)

_METHODS = frozenset({"ed25519", "rsassa-pss", "rsassa-pss-sha256"})
# What an ECU says that was never updated: the Primary the one, a virtual Secondary the other.
_NO_IMAGE = frozenset({"unknown", "noimage"})
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}\Z")
_COUNTER = re.compile(r"[0-9]{1,18}\Z")
_ESCAPE = re.compile(r"\\(u007f|.)")
_WORD = re.compile(r"[!-~]{1,64}\Z")


def read_aktualizr(body: bytes) -> VehicleManifest:
    """Read a manifest as aktualizr writes it.

    Raises:
        ManifestTooLargeError: more than MAX_BYTES.
        ManifestUnreadableError: not strict JSON.
        ManifestMalformedError: JSON, but not a manifest; the details name the field.
    """
    if len(body) > MAX_BYTES:
        raise ManifestTooLargeError(f"A manifest has at most {MAX_BYTES} bytes; this one has {len(body)}.")
    try:
        envelope = primitives.strict_loads(body, MAX_BYTES)
    except NotStrictJsonError as error:
        raise ManifestUnreadableError(f"The manifest is not strict JSON: {error}") from error
    content = _object(envelope, "signed")
    primary = _word(content, "primary_ecu_serial")
    ecus = [_ecu_report(serial, found) for serial, found in _object(content, "ecu_version_manifests").items()]
    said = content.get("installation_report")
    found = read_report(said) if said is not None else None
    quirks = [f"report_unread:{primary}:{found.problem}"] if found is not None and found.problem else []
    if any(report.serial == primary and report.counter is None for report in ecus):
        quirks.append(f"counter_missing:{primary}")
    return VehicleManifest(
        vehicle_id=None,
        primary_serial=primary,
        ecus=ecus,
        report=found.report if found is not None else None,
        signed=_signed(envelope),
        quirks=quirks,
    )


def signed_bytes(value: Any) -> bytes:
    """Return what aktualizr signs: jsoncpp's compact writer, which escapes control characters and all beyond ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    # The one character that Python escapes and jsoncpp does not; escapes are read whole, also that of a backslash.
    return _ESCAPE.sub(lambda found: "\x7f" if found[1] == "u007f" else found[0], text).encode("ascii")


def own_keyids(public_key: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids that aktualizr gives a key: SHA-256 over the text of its value as JSON, without a last newline."""
    text = str(public_key["keyval"]["public"]).rstrip("\n")
    # Ed25519 keys it writes in upper case, and other builds in lower.
    spelt = {text, text.upper()} if public_key["keytype"] == "ed25519" else {text}
    return frozenset(hashlib.sha256(json.dumps(one).encode()).hexdigest() for one in spelt)


def _signed(envelope: Mapping[str, Any]) -> Signed:
    found = envelope.get("signatures")
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_SIGNATURES:
        raise ManifestMalformedError(f"signatures is no list of 1 to {MAX_SIGNATURES}.", field="signatures")
    payload = signed_bytes(envelope["signed"])
    return Signed(payload, [_signature(one) for one in found], names_keys_itself=True)


def _signature(found: Any) -> Signature:
    method, text = _text(found, "method", 20).lower(), _text(found, "sig", 4096)
    if method not in _METHODS:
        raise ManifestMalformedError(f"ECUs sign with one of {', '.join(sorted(_METHODS))}.", field="method")
    try:
        return Signature(_text(found, "keyid", 64), base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise ManifestMalformedError("A signature is base64.", field="sig") from error


def _ecu_report(serial: str, envelope: Any) -> EcuReport:
    content = _object(envelope, "signed")
    if _word(content, "ecu_serial") != serial:
        raise ManifestMalformedError(f"The report under {serial[:64]!a} is another ECU's.", field="ecu_serial")
    image = _object(content, "installed_image")
    info = _object(image, "fileinfo")
    sha256, length = _text(_object(info, "hashes"), "sha256", 64), info.get("length")
    if not _SHA256.match(sha256) or type(length) is not int or length < 0:
        raise ManifestMalformedError(
            f"ECU {serial} reports {sha256!a} of {str(length)[:40]!a} bytes.", field="installed_image"
        )
    name = _text(image, "filepath", MAX_NAME_LENGTH)
    return EcuReport(
        serial=serial,
        target_name=UNKNOWN_IMAGE if name in _NO_IMAGE else name,
        length=length,
        sha256=sha256.lower(),
        counter=_counter(content, serial),
        attacks=printable(str(content.get("attacks_detected") or "")[:MAX_MESSAGE_LENGTH]).strip(),
        time=_text(content, "timeserver_time", 20),
        signed=_signed(envelope),
    )


def _counter(content: Mapping[str, Any], serial: str) -> int | None:
    found = content.get("report_counter")
    if found is None:
        return None
    if not isinstance(found, str) or not _COUNTER.match(found) or int(found) < 1:
        raise ManifestMalformedError(
            f"ECU {serial} counts {str(found)[:40]!a}; a counter is a number from 1, as text.", field="report_counter"
        )
    return int(found)


def _object(parent: Any, name: str) -> dict[str, Any]:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, dict):
        raise ManifestMalformedError(f"{name} is missing or no object.", field=name)
    return found


def _text(parent: Any, name: str, max_length: int) -> str:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, str) or not 1 <= len(found) <= max_length or not found.isprintable():
        raise ManifestMalformedError(f"{name} is no printable text of 1 to {max_length} characters.", field=name)
    return found


def _word(parent: Any, name: str) -> str:
    found = _text(parent, name, 64)
    if not _WORD.match(found):
        raise ManifestMalformedError(f"{name} is {found!a}, no ECU's serial.", field=name)
    return found
