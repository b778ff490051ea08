"""SWUpdate's package: a cpio archive of sw-description, its signature, and the files that it speaks of.

Details: `boards` (by name, the hardware revisions of each; what is for any board under ""), `sets` (software sets with
their modes, as `set,mode`), `description`, and `is_encrypted` where a payload is.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firmware_store.formats import cpio, libconfig
from firmware_store.formats.errors import (
    FormatMalformedError,
    FormatOrderError,
    FormatUnsupportedError,
    PayloadMismatchError,
    PayloadMissingError,
)
from firmware_store.formats.facts import Contents, Format, Payload
from firmware_store.formats.streams import Source, text, whole
from firmware_store.trust.payload_signatures import Signed, signed_by
from otaserver import storable

DESCRIPTION, SIGNATURE = "sw-description", "sw-description.sig"
MAX_DESCRIPTION_BYTES = 1024 * 1024
MAX_SIGNATURE_BYTES = 64 * 1024
# What SWUpdate looks for in `software`, in a board's group, and in a mode's; only the first three name files.
_FILES = ("images", "files", "scripts")
_INSTALLED = (*_FILES, "partitions", "bootenv", "uboot")
_NODES = (*_INSTALLED, "hardware-compatibility")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")


@dataclass(frozen=True)
class _Reference:
    """One entry of sw-description that names a file of the archive."""

    filename: str
    kind: str
    sha256: str
    is_encrypted: bool


def read(source: Source) -> tuple[Contents, Signed | None]:
    """Return what an SWU holds, and what its signature is to be held against.

    All of it is read: each file against its sum and against the digest in sw-description.

    Raises:
        RefusedError: SWUpdate would refuse it, or it is in a form that is not read here.
    """
    archive = cpio.entries(source)
    description = _described(archive)
    software = _software(description)
    found, signature = _files(archive)
    references = list(_references(software))
    _check(references, found, is_signed=signature is not None)
    signed = None if signature is None else Signed(signature, lambda name: hashlib.new(name, description).digest())
    kind, signers = signed_by(signed)
    boards = _boards(software)
    contents = Contents(
        format=Format.SWU,
        name=_text(software, "name"),
        version=_version(software),
        hardware=tuple(sorted(set(_hardware(boards)))),
        payloads=tuple(_payloads(references, found)),
        signature=kind,
        signers=signers,
        details={
            "boards": boards,
            "sets": sorted(_sets(software)),
            "description": _text(software, "description"),
            "is_encrypted": any(one.is_encrypted for one in references),
        },
    )
    return contents, signed


def _described(archive: Iterator[cpio.Entry]) -> bytes:
    first = next(archive, None)
    if first is None or first.name != DESCRIPTION:
        raise FormatOrderError(f"The first file is {first.name if first else 'missing'!a}, not {DESCRIPTION}.")
    found = whole(first, MAX_DESCRIPTION_BYTES, DESCRIPTION)
    first.finish()
    return found


def _files(archive: Iterator[cpio.Entry]) -> tuple[dict[str, tuple[int, str]], bytes | None]:
    """Return length and digest of each file behind sw-description, and the signature, which must be the first."""
    found: dict[str, tuple[int, str]] = {}
    signature = None
    for number, entry in enumerate(archive):
        if entry.name in found or entry.name == DESCRIPTION:
            raise FormatMalformedError(f"The archive holds {entry.name!a} twice.", name=entry.name)
        if entry.name == SIGNATURE:
            if number:
                raise FormatOrderError(f"{SIGNATURE} does not follow {DESCRIPTION} at once.")
            signature = whole(entry, MAX_SIGNATURE_BYTES, SIGNATURE)
        found[entry.name] = (entry.length, entry.finish())
    return found, signature


def _software(description: bytes) -> Mapping[str, Any]:
    try:
        written = description.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatUnsupportedError(f"{DESCRIPTION} is no text: encrypted descriptions are not read.") from error
    parsed = _json(description) if written.lstrip().startswith("{") else libconfig.parse(written)
    software = parsed.get("software") if isinstance(parsed, dict) else None
    if not isinstance(software, dict):
        raise FormatMalformedError(f"{DESCRIPTION} has no group `software`.")
    return software


def _json(description: bytes) -> Any:
    try:
        parsed = storable.parse(description)
        storable.refuse_unbounded(parsed)
        return parsed
    except ValueError as error:
        raise FormatMalformedError(f"{DESCRIPTION} is no JSON: {str(error)[:200]}.") from error


def _groups(software: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield each group in which SWUpdate looks for its nodes, with its path: board, set and mode, as it has them."""
    layer: list[tuple[tuple[str, ...], Mapping[str, Any]]] = [((), software)]
    for _ in range(4):
        below: list[tuple[tuple[str, ...], Mapping[str, Any]]] = []
        for path, group in layer:
            if any(node in group for node in _NODES):
                yield path, group
            inner = [(name, value) for name, value in group.items() if isinstance(value, dict) and name not in _NODES]
            below += [((*path, name), value) for name, value in inner]
        layer = below


def _references(software: Mapping[str, Any]) -> Iterator[_Reference]:
    for _, group in _groups(software):
        for node in _FILES:
            listed = group.get(node, [])
            if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
                continue  # a link to another group's list, which is looked at there
            for entry in listed:
                if "filename" in entry:
                    yield _reference(entry, node)


def _reference(entry: Mapping[str, Any], node: str) -> _Reference:
    filename, sha256 = _text(entry, "filename"), _text(entry, "sha256")
    if sha256 and not _SHA256.match(sha256):
        raise FormatMalformedError(f"The sha256 of {filename!a:.100} is {sha256!a:.80}, not 64 hex digits.")
    kind = _text(entry, "type") or node.removesuffix("s")
    return _Reference(filename, kind, sha256.lower(), entry.get("encrypted") in (True, "true"))


def _check(references: list[_Reference], found: Mapping[str, tuple[int, str]], *, is_signed: bool) -> None:
    for one in references:
        if one.filename not in found:
            raise PayloadMissingError(f"{DESCRIPTION} names {one.filename!a:.200}, which is not in the archive.")
        _, sha256 = found[one.filename]
        if is_signed and not one.sha256:
            raise PayloadMismatchError(f"{one.filename!a:.200} has no sha256, which a signed package states for each.")
        if one.sha256 and one.sha256 != sha256:
            raise PayloadMismatchError(
                f"{one.filename!a:.200} has the SHA-256 {sha256}; {DESCRIPTION} states {one.sha256}.",
                name=one.filename[:200],
            )


def _payloads(references: list[_Reference], found: Mapping[str, tuple[int, str]]) -> Iterator[Payload]:
    kinds = {one.filename: one.kind for one in references}
    for name, kind in sorted(kinds.items()):
        length, sha256 = found[name]
        yield Payload(name, kind, length, sha256)


def _boards(software: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return for which boards there is something to install, each with the revisions that fit (none: any).

    A board is a group with files of its own, or with sets and modes below it; "" stands for what is for any board.
    """
    revisions: dict[str, list[str]] = {}
    boards = set()
    for path, group in _groups(software):
        board = "" if len(path) in (0, 2) else path[0]
        if any(node in group for node in _INSTALLED):
            boards.add(board)
        revisions[board] = revisions.get(board) or _revisions(group)
    if not boards:
        raise FormatMalformedError(f"{DESCRIPTION} names nothing to install.")
    return {board: revisions.get(board) or revisions.get("", []) for board in sorted(boards)}


def _revisions(group: Mapping[str, Any]) -> list[str]:
    stated = group.get("hardware-compatibility", [])
    if not isinstance(stated, list) or not all(isinstance(one, str) for one in stated):
        raise FormatMalformedError("hardware-compatibility is no list of strings.")
    return [text(one.encode("utf-8", "replace"), "A hardware revision")[:200] for one in stated]


def _hardware(boards: Mapping[str, list[str]]) -> Iterator[str]:
    for board, revisions in boards.items():
        if board and not revisions:
            yield board
        for revision in revisions:
            yield f"{board}:{revision}" if board else revision


def _sets(software: Mapping[str, Any]) -> Iterator[str]:
    for path, _ in _groups(software):
        if len(path) in (2, 3):
            yield ",".join(path[-2:])


def _version(software: Mapping[str, Any]) -> str:
    version = _text(software, "version")
    if not version:
        raise FormatMalformedError(f"{DESCRIPTION} states no version, without which SWUpdate installs nothing.")
    return version


def _text(group: Mapping[str, Any], name: str) -> str:
    value = group.get(name, "")
    if not isinstance(value, str):
        raise FormatMalformedError(f"{name} in {DESCRIPTION} is {value!a:.80}, not a string.")
    return text(value.encode("utf-8", "replace"), f"{name} in {DESCRIPTION}")[:2000]
