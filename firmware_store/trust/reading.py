"""Reads the parts of signed metadata that both profiles share. Unknown fields are refused: what nobody compares between
the profiles, nobody has checked.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from firmware_store.trust import primitives
from firmware_store.trust.contents import TOP_LEVEL_ROLES, PublicKey, RoleKeys, Target
from firmware_store.trust.errors import DelegationRefusedError, KeyRefusedError, KeySharedError, MetadataMalformedError

MAX_VERSION = 2**31 - 1  # aktualizr keeps it in an int
MAX_DELEGATIONS = 500
ROLE_NAME = re.compile(r"[a-z0-9-]{1,40}\Z")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_HEX = {64: re.compile(r"[0-9a-f]{64}\Z"), 128: re.compile(r"[0-9a-f]{128}\Z")}
T = TypeVar("T")


# Metadata is signed for many vehicles in the same second, and then ends for all of them in the same one.
@lru_cache(maxsize=64)
def utc_text(moment: datetime) -> str:
    """Return the one form of time that both profiles read: whole seconds, in UTC, with a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fields(value: object, names: Iterable[str], what: str, *, optional: Iterable[str] = ()) -> Mapping[str, Any]:
    """Return `value` if it is an object with exactly these fields.

    Raises:
        MetadataMalformedError: it is not.
    """
    if not isinstance(value, dict):
        raise MetadataMalformedError(f"The {what} is not an object.")
    needed, allowed = set(names), {*names, *optional}
    if not needed <= set(value) <= allowed:
        wrong = sorted(needed - set(value)) or sorted(set(value) - allowed)
        raise MetadataMalformedError(f"The {what} has fields missing or too many: {', '.join(wrong)}.", fields=wrong)
    return value


def typed(value: object, kind: type[T], what: str) -> T:
    """Return `value` if it is exactly of this type: true is no integer.

    Raises:
        MetadataMalformedError: it is not.
    """
    if type(value) is not kind:
        raise MetadataMalformedError(f"The {what} is not of type {kind.__name__}.")
    return value


def integer(value: object, what: str, *, lowest: int, highest: int) -> int:
    """Return `value` if it is an integer in the range, both ends included.

    Raises:
        MetadataMalformedError: it is not.
    """
    number = typed(value, int, what)
    if not lowest <= number <= highest:
        raise MetadataMalformedError(f"The {what} is {number}, not between {lowest} and {highest}.")
    return number


def time(value: object, what: str) -> datetime:
    """Return the moment that a text of exactly 20 characters states (aktualizr compares expiries as strings).

    Raises:
        MetadataMalformedError: it has another form or there is no such moment.
    """
    text = typed(value, str, what)
    try:
        if not _TIME.match(text):
            raise ValueError(text)
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise MetadataMalformedError(f"The {what} {text!a:.40} is not of the form YYYY-MM-DDTHH:MM:SSZ.") from error


def role_keys(keys: Mapping[str, PublicKey], keyids: object, threshold: object, what: str) -> RoleKeys:
    """Return the keys of one role; a threshold counts keys, so it cannot exceed their number.

    Raises:
        MetadataMalformedError: a key id stands twice or has no key, or the threshold is out of range.
    """
    ids = typed(keyids, list, f"{what}'s list of key ids")
    if not all(isinstance(keyid, str) and keyid in keys for keyid in ids) or len(set(ids)) != len(ids):
        raise MetadataMalformedError(f"The {what} names a key id twice or one without a key.")
    number = integer(threshold, f"{what}'s threshold", lowest=1, highest=max(len(ids), 1))
    if not ids:
        raise MetadataMalformedError(f"The {what} has no key.")
    return RoleKeys(keys={keyid: keys[keyid] for keyid in ids}, threshold=number)


def check_keys(keys: Mapping[str, PublicKey], *, is_aktualizr_on: bool) -> None:
    """Check every key, that its id is its own, and that no key stands there twice.

    Raises:
        KeyRefusedError, KeySharedError: one does not hold.
    """
    for keyid, key in keys.items():
        problem = primitives.key_problem(key, is_aktualizr_on=is_aktualizr_on)
        if problem:
            raise KeyRefusedError(problem, keyid=keyid)
        if keyid != primitives.keyid_of(key):
            raise KeyRefusedError(f"{keyid!a:.80} is not the id of its key (SHA-256 of the key object).", keyid=keyid)
    if len({primitives.key_value(key) for key in keys.values()}) != len(keys):
        raise KeySharedError("The same key stands under two key ids.")


def root_roles(signed: Mapping[str, Any], keys: Mapping[str, PublicKey]) -> dict[str, RoleKeys]:
    """Return the four roles of a root; each key is in one of them (Uptane deployment practice, key management).

    Raises:
        MetadataMalformedError, KeySharedError: it is not so.
    """
    roles = {}
    for name, value in fields(signed["roles"], TOP_LEVEL_ROLES, "list of roles").items():
        entry = fields(value, ("keyids", "threshold"), f"role {name}")
        roles[name] = role_keys(keys, entry["keyids"], entry["threshold"], f"role {name}")
    _check_every_key_once(roles, keys)
    return roles


def _check_every_key_once(roles: Mapping[str, RoleKeys], keys: Mapping[str, PublicKey]) -> None:
    used = [keyid for role in roles.values() for keyid in role.keys]
    if len(set(used)) != len(used):
        raise KeySharedError("One key stands in two roles; each role has keys of its own.")
    if set(used) != set(keys):
        raise MetadataMalformedError("There are keys that no role names.")


def delegations(value: Mapping[str, Any], keys: Mapping[str, PublicKey]) -> dict[str, RoleKeys]:
    """Return the delegated roles in their order. Each may sign what is under `<role>/`, one level deep, and no more.

    Raises:
        MetadataMalformedError, DelegationRefusedError: it is not so.
    """
    roles: dict[str, RoleKeys] = {}
    entries = typed(value["roles"], list, "list of delegations")
    if len(entries) > MAX_DELEGATIONS:
        raise DelegationRefusedError(f"{len(entries)} delegations are more than {MAX_DELEGATIONS}.")
    for entry in entries:
        fields(entry, ("name", "keyids", "threshold", "paths", "terminating"), "delegation")
        name = typed(entry["name"], str, "delegation's name")
        if not ROLE_NAME.match(name) or name in TOP_LEVEL_ROLES or name in roles:
            raise DelegationRefusedError(
                f"A delegated role's name is 1 to 40 of a-z, 0-9 and hyphen, no top-level role's, and stands once; "
                f"{name!a:.80} is not.",
                role=name,
            )
        if entry["paths"] != [f"{name}/*"] or entry["terminating"] is not False:
            raise DelegationRefusedError(f'Role {name} has to sign for ["{name}/*"], not terminating.', role=name)
        roles[name] = role_keys(keys, entry["keyids"], entry["threshold"], f"delegated role {name}")
    if {keyid for role in roles.values() for keyid in role.keys} != set(keys):
        raise MetadataMalformedError("There are keys that no delegation names.")
    return roles


def target(value: object, name: str) -> Target:
    """Return one entry of a targets role.

    Raises:
        MetadataMalformedError: it has other fields than the ones that the Director repeats and vehicles compare.
    """
    what = f"target {name!a:.80}"
    entry = fields(value, ("length", "hashes", "custom"), what)
    hashes = fields(entry["hashes"], ("sha256", "sha512"), f"{what}'s list of hashes")
    names = ("hardwareIds", "releaseCounter", "name", "version", "targetFormat")
    custom = fields(entry["custom"], names, f"{what}'s custom")
    hardware_ids = typed(custom["hardwareIds"], list, f"{what}'s hardwareIds")
    for one in hardware_ids:
        typed(one, str, f"{what}'s hardware id")
    if custom["targetFormat"] != "BINARY":
        raise MetadataMalformedError(f"The {what}'s targetFormat is not BINARY.")
    return Target(
        length=integer(entry["length"], f"{what}'s length", lowest=0, highest=primitives.MAX_INTEGER),
        sha256=_digest(hashes["sha256"], 64, what),
        sha512=_digest(hashes["sha512"], 128, what),
        hardware_ids=tuple(hardware_ids),
        release_counter=integer(custom["releaseCounter"], f"{what}'s counter", lowest=0, highest=MAX_VERSION),
        name=typed(custom["name"], str, f"{what}'s name"),
        version=typed(custom["version"], str, f"{what}'s version"),
    )


def _digest(value: object, digits: int, what: str) -> str:
    text = typed(value, str, f"{what}'s hash")
    if not _HEX[digits].match(text):
        raise MetadataMalformedError(f"A hash of the {what} is not {digits} lower-case hex digits.")
    return text
