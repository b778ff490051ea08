"""Decisions about packages and releases: pure, no Django."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from firmware_store.errors import (
    OtherTargetsChangedError,
    PackageCounterError,
    PackageHardwareError,
    PackageHashError,
    PackageLengthError,
    PackageNameError,
    PackagePathError,
    PackageVersionError,
)
from firmware_store.states import ConditionKind
from firmware_store.trust.contents import TOP_LEVEL_ROLES, Target
from otaserver.errors import RefusedError

MAX_COUNTER = 2**31 - 1
MAX_NOTES_BYTES = 16 * 1024
_ROLE = re.compile(r"[a-z0-9-]{1,40}\Z")
# Names and versions stand in paths on servers and vehicles: no slash, no leading dot, nothing to escape.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}\Z")
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,60}\Z")
_HARDWARE_ID = re.compile(r"[!-~]{1,64}\Z")
_FILENAME = re.compile(r"[ -.0-~]{1,255}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_LABEL = re.compile(r"[!-~]([ -~]*[!-~])?\Z")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")


@dataclass(frozen=True)
class Declaration:
    """What a publisher says of a package before its bytes arrive. `length` in bytes, SHA-256 in lower-case hex."""

    role: str
    name: str
    version: str
    hardware_ids: tuple[str, ...]
    release_counter: int
    filename: str
    length: int
    sha256: str

    @property
    def target_name(self) -> str:
        return f"{self.role}/{self.name}-{self.version}"


@dataclass(frozen=True)
class Condition:
    """What must, or must not, run beside a release: a package name and these versions of it (none: any)."""

    kind: ConditionKind
    package_name: str
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackageFacts:
    """What a release needs to know of a package in it."""

    name: str
    version: str
    hardware_ids: Sequence[str]


def declaration_problem(declared: Declaration) -> str | None:
    """Return why this cannot be declared, as a sentence, or None if it can."""
    if not _ROLE.match(declared.role) or declared.role in TOP_LEVEL_ROLES:
        return f"A release role is 1 to 40 of a-z, 0-9 and hyphen, no top-level role; {declared.role!a:.80} is not."
    if not _NAME.match(declared.name):
        return f"A package's name is 1 to 80 of A-Z a-z 0-9 . _ - without a leading dot; {declared.name!a:.100} is not."
    if not _VERSION.match(declared.version):
        return f"A package's version is 1 to 60 of A-Z a-z 0-9 . _ -; {declared.version!a:.100} is not."
    if not declared.hardware_ids or len(set(declared.hardware_ids)) != len(declared.hardware_ids):
        return "A package fits at least one hardware id, and names each once."
    if not all(_HARDWARE_ID.match(one) for one in declared.hardware_ids):
        return "A hardware id is 1 to 64 printable ASCII characters without spaces."
    if not 0 <= declared.release_counter <= MAX_COUNTER:
        return f"A release counter is between 0 and {MAX_COUNTER}; {declared.release_counter} is not."
    if not _FILENAME.match(declared.filename):
        return "A file name is 1 to 255 printable ASCII characters without a slash."
    if declared.length < 1:
        return "A package has at least one byte."
    if not _SHA256.match(declared.sha256):
        return "The SHA-256 is 64 lower-case hex digits."
    return None


def addition_refusal(
    before: Mapping[str, Target], after: Mapping[str, Target], declared: Declaration, *, sha512: str
) -> RefusedError | None:
    """Return why signed targets are not the current ones and this package besides, or None if they are."""
    name = declared.target_name
    if name not in after or name in before:
        return PackagePathError(f"The signed metadata does not add {name}.", target=name)
    if {other: target for other, target in after.items() if other != name} != dict(before):
        return OtherTargetsChangedError(f"The signed metadata changes other targets than {name}.", target=name)
    return _entry_refusal(after[name], declared, sha512=sha512)


def removal_refusal(before: Mapping[str, Target], after: Mapping[str, Target], target_name: str) -> RefusedError | None:
    """Return why signed targets are not the current ones without this package, or None if they are."""
    if target_name in after:
        return PackagePathError(f"The signed metadata still lists {target_name}.", target=target_name)
    if dict(after) != {name: target for name, target in before.items() if name != target_name}:
        return OtherTargetsChangedError(
            f"The signed metadata changes other targets than {target_name}.", target=target_name
        )
    return None


def _entry_refusal(signed: Target, declared: Declaration, *, sha512: str) -> RefusedError | None:
    checks: list[tuple[type[RefusedError], str, object, object]] = [
        (PackageLengthError, "length", signed.length, declared.length),
        (PackageHashError, "SHA-256", signed.sha256, declared.sha256),
        (PackageHashError, "SHA-512", signed.sha512, sha512),
        (PackageNameError, "name", signed.name, declared.name),
        (PackageVersionError, "version", signed.version, declared.version),
        (PackageHardwareError, "hardware ids", list(signed.hardware_ids), sorted(declared.hardware_ids)),
        (PackageCounterError, "release counter", signed.release_counter, declared.release_counter),
    ]
    for error, what, found, expected in checks:
        if found != expected:
            return error(
                f"The signed {what} of {declared.target_name} is {found!a:.200}; the package's is {expected!a:.200}.",
                signed=found,
                declared=expected,
            )
    return None


def label_problem(label: str, what: str, *, longest: int) -> str | None:
    """Return why this cannot be a release's name or version, which stand in signed metadata, or None if it can."""
    if len(label) > longest or not _LABEL.match(label):
        return f"A release's {what} is 1 to {longest} printable ASCII characters, no space at its ends."
    return None


def notes_problem(notes: Mapping[str, str]) -> str | None:
    """Return why these cannot be release notes by language tag (RFC 5646), or None if they can."""
    if not all(_LANGUAGE.match(tag) for tag in notes):
        return "Release notes are listed by language tag, such as en or de-AT."
    # Neither has a place in JSON that PostgreSQL stores.
    if any("\0" in text or any("\ud800" <= one <= "\udfff" for one in text) for text in notes.values()):
        return "Release notes hold no NUL and no half of a surrogate pair."
    if sum(len(text.encode("utf-8", "replace")) for text in notes.values()) > MAX_NOTES_BYTES:
        return f"Release notes are at most {MAX_NOTES_BYTES} bytes in all languages together."
    return None


def hardware_twice(packages: Iterable[PackageFacts]) -> list[str]:
    """Return the hardware ids that more than one of the packages fits: nobody could say which an ECU gets."""
    counted = Counter(hardware_id for package in packages for hardware_id in package.hardware_ids)
    return sorted(hardware_id for hardware_id, count in counted.items() if count > 1)


def conditions_problem(conditions: Sequence[Condition], packages: Iterable[PackageFacts]) -> str | None:
    """Return why these conditions make no sense for a release of these packages, or None if they do."""
    for condition in conditions:
        if not _NAME.match(condition.package_name) or not all(_VERSION.match(one) for one in condition.versions):
            return f"The condition on {condition.package_name!a:.100} names no possible package or version."
    conflicts = [one for one in conditions if one.kind == ConditionKind.CONFLICTS]
    for package in packages:
        if any(_covers(conflict, package.name, package.version) for conflict in conflicts):
            return f"The release conflicts with its own package {package.name} {package.version}."
    for needed in (one for one in conditions if one.kind == ConditionKind.REQUIRES):
        if any(_leaves_nothing(conflict, needed) for conflict in conflicts):
            return f"The release requires {needed.package_name} and conflicts with all that would do."
    return None


def _covers(condition: Condition, name: str, version: str) -> bool:
    return condition.package_name == name and (not condition.versions or version in condition.versions)


def _leaves_nothing(conflict: Condition, needed: Condition) -> bool:
    if conflict.package_name != needed.package_name:
        return False
    return not conflict.versions or (bool(needed.versions) and set(needed.versions) <= set(conflict.versions))
