"""What Uptane and TUF demand of metadata and python-tuf does not check. These checks can only refuse.

They run on bytes as fetched, before python-tuf sees them; signatures are python-tuf's part.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import unquote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from clients.vehicle.errors import Reason, VerificationError
from clients.vehicle.strict_json import strict_loads

TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")
# Exactly one slash: readers differ on whether "*" passes a second one.
TARGET_NAME = re.compile(r"[a-z0-9-]{1,40}/[A-Za-z0-9_+~-][A-Za-z0-9._+~-]{0,199}")
ROLE_NAME = re.compile(r"[a-z0-9-]{1,40}")
MAX_DELEGATED_ROLES = 256
MAX_KEYS = 1024
MAX_TARGETS = 20_000


def check_metadata(
    body: bytes, *, repository: str, filename: str, vehicle_id: str, hardware: Mapping[str, str]
) -> None:
    """Refuse one fetched metadata file of `director` or `image`, or return.

    `filename` is the requested one (`3.targets.json`); `hardware` is this vehicle's hardware id by ECU serial.

    Raises:
        VerificationError: with the reason.
    """
    version, role = _split(filename)
    signed = _signed_part(body, filename)
    kind = role if role in TOP_LEVEL else "targets"
    if signed.get("_type") != kind:
        _refuse(Reason.MALFORMED, f"{filename} says it is {signed.get('_type')!r}.")
    _check_version(signed, version, role, filename)
    if kind == "root":
        _check_keys(signed.get("keys"), filename)
    if kind == "targets":
        _check_target_names(signed, filename)
    if repository == "director":
        _check_director(signed, role, filename, vehicle_id, hardware)
    elif kind == "targets":
        _check_delegations(signed.get("delegations"), filename)


def _signed_part(body: bytes, filename: str) -> dict[str, Any]:
    try:
        envelope = strict_loads(body)
    except ValueError as error:
        raise VerificationError(Reason.MALFORMED, f"{filename}: {error}") from error
    signed = envelope.get("signed")
    if set(envelope) != {"signatures", "signed"} or not isinstance(signed, dict):
        _refuse(Reason.MALFORMED, f"{filename} is not an envelope.")
    return signed


def _check_version(signed: Mapping[str, Any], version: int | None, role: str, filename: str) -> None:
    found = signed.get("version")
    if type(found) is not int or found < 1:
        _refuse(Reason.MALFORMED, f"{filename} has no version.")
    if version is not None and found != version:
        reason = Reason.ROOT_CHAIN if role == "root" else Reason.MIX_AND_MATCH
        _refuse(reason, f"{filename} holds version {found}.")


def _check_keys(keys: Any, filename: str) -> None:
    """Refuse one key value under two ids: a threshold counts keys, not names of keys."""
    if not isinstance(keys, dict) or len(keys) > MAX_KEYS:
        _refuse(Reason.MALFORMED, f"{filename} has no usable keys.")
    values = [_key_value(key, filename) for key in keys.values()]
    if len(set(values)) != len(values):
        _refuse(Reason.THRESHOLD, f"{filename} has one key under several ids.")


def _key_value(key: Any, filename: str) -> bytes:
    try:
        public = key["keyval"]["public"]
        if key["keytype"] == "ed25519":
            return bytes.fromhex(public)
        loaded = load_pem_public_key(public.encode("ascii"))
        return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm) as error:
        raise VerificationError(Reason.MALFORMED, f"{filename} has an unreadable key.") from error


def _check_target_names(signed: Mapping[str, Any], filename: str) -> None:
    targets = signed.get("targets")
    if not isinstance(targets, dict) or len(targets) > MAX_TARGETS:
        _refuse(Reason.MALFORMED, f"{filename} has no usable targets.")
    for name in targets:
        if not TARGET_NAME.fullmatch(name):
            _refuse(Reason.UNSAFE_NAME, f"{filename} has the target {name[:80]!r}.")


def _check_director(
    signed: Mapping[str, Any], role: str, filename: str, vehicle_id: str, hardware: Mapping[str, str]
) -> None:
    if role not in TOP_LEVEL or "delegations" in signed:
        _refuse(Reason.DIRECTOR_MISUSE, f"the Director delegates in {filename}.")
    if role != "root" and signed.get("vehicle_id") != vehicle_id:
        _refuse(Reason.WRONG_VEHICLE, f"{filename} is for {signed.get('vehicle_id')!r}.")
    if role == "targets":
        _check_ecus(signed["targets"], hardware)


def _check_ecus(targets: Mapping[str, Any], hardware: Mapping[str, str]) -> None:
    seen: set[str] = set()
    for name, target in targets.items():
        for serial, ecu in _ecu_identifiers(name, target):
            if serial in seen:
                _refuse(Reason.DIRECTOR_MISUSE, f"ECU {serial} is named twice.")
            seen.add(serial)
            if serial not in hardware:
                _refuse(Reason.DIRECTOR_MISUSE, f"{name} is for the unknown ECU {serial!r}.")
            if not isinstance(ecu, dict) or ecu.get("hardwareId") != hardware[serial]:
                _refuse(Reason.DIRECTOR_MISUSE, f"{name} is for other hardware than that of {serial}.")


def _ecu_identifiers(name: str, target: Any) -> Iterable[tuple[str, Any]]:
    try:
        return list(target["custom"]["ecuIdentifiers"].items())
    except (KeyError, TypeError, AttributeError) as error:
        raise VerificationError(Reason.MALFORMED, f"{name} names no ECU.") from error


def _check_delegations(delegations: Any, filename: str) -> None:
    if delegations is None:
        return
    roles = delegations.get("roles") if isinstance(delegations, dict) else None
    if not isinstance(roles, list) or not all(isinstance(role, dict) for role in roles):
        _refuse(Reason.DELEGATION, f"{filename} has delegations without a list of roles.")
    if len(roles) > MAX_DELEGATED_ROLES:
        _refuse(Reason.DELEGATION, f"{filename} delegates to {len(roles)} roles.")
    names = [str(role.get("name")) for role in roles]
    for name in names:
        if name in TOP_LEVEL or not ROLE_NAME.fullmatch(name):
            _refuse(Reason.DELEGATION, f"{filename} delegates to the name {name[:60]!r}.")
    if len(set(names)) != len(names):
        _refuse(Reason.DELEGATION, f"{filename} delegates twice to one name.")
    _check_keys(delegations.get("keys"), filename)


def _split(filename: str) -> tuple[int | None, str]:
    stem = unquote(filename).removesuffix(".json")
    number, dot, role = stem.partition(".")
    return (int(number), role) if dot and number.isdigit() else (None, stem)


def _refuse(reason: Reason, message: str) -> NoReturn:
    raise VerificationError(reason, message)
