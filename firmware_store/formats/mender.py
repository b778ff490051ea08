"""Mender's artifact, format 3: a tar of version, manifest, its signature, a header and the payloads, in this order.

Details, in Mender's own words: `artifact_name`, `artifact_group`, `device_types`, `depends` and `provides` of the
artifact, `payloads` (of each `type`, `provides`, `depends`, `clears_provides` and whether it is `empty`), `scripts`.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from firmware_store.formats import tar
from firmware_store.formats.errors import (
    FormatMalformedError,
    FormatOrderError,
    FormatUnsupportedError,
    PayloadMismatchError,
    PayloadMissingError,
)
from firmware_store.formats.facts import Contents, Format, Payload
from firmware_store.formats.streams import (
    BLOCK_BYTES,
    STREAMS,
    Budget,
    Inflated,
    Source,
    file_name,
    whole,
)
from firmware_store.trust.payload_signatures import Signed, base64_signature, signed_by
from otaserver import storable

MAX_TEXT_BYTES = 1024 * 1024
_LINE = re.compile(rb"([0-9a-f]{64})  ([^\n]{1,300})\Z")
_HEADER = re.compile(rb"header\.tar(\.gz|\.xz|\.zst)?\Z")
_DATA = re.compile(rb"data/([0-9]{4})\.tar(\.gz|\.xz|\.zst)?\Z")
_TYPE_INFO = re.compile(rb"headers/([0-9]{4})/(type-info|meta-data)\Z")


class _Header:
    """What header.tar says: the artifact's own part, its scripts, and one part for each payload."""

    def __init__(self, source: Source) -> None:
        self.info: Mapping[str, Any] = {}
        self.scripts: list[str] = []
        self.infos: list[Mapping[str, Any]] = []
        # A payload without a type is empty: it only changes what the device provides.
        self.types: list[str] = []
        for number, member in enumerate(tar.members(source)):
            if (member.name == b"header-info") != (number == 0):
                raise FormatOrderError("header-info is not the first file of the header.")
            self._take(member)
        self._check()

    def _take(self, member: tar.Member) -> None:
        part = _TYPE_INFO.match(member.name)
        if member.name == b"header-info":
            self.info = _document(member, "header-info")
        elif member.name.startswith(b"scripts/"):
            self.scripts.append(file_name(member.name.removeprefix(b"scripts/")))
        elif part and part[2] == b"meta-data":
            if member.length:
                _document(member, "meta-data")
        elif part and int(part[1]) == len(self.infos):
            self.infos.append(_document(member, "type-info"))
        else:
            raise FormatOrderError(f"The header holds {member.name[:100]!a}, which is unknown or out of order.")

    def _check(self) -> None:
        listed = self.info.get("payloads")
        if not isinstance(listed, list) or len(listed) != len(self.infos):
            raise FormatMalformedError("header-info does not list as many payloads as there are type-infos.")
        self.types = [_typed(one) for one in listed]
        # mender-artifact leaves the type out of the type-info of a root file system's image.
        if any(_typed(one) not in ("", kind) for one, kind in zip(self.infos, self.types, strict=True)):
            raise FormatMalformedError("header-info and type-info name different types of payloads.")


class _Manifest:
    """The digests that an artifact states of its parts, each of which comes exactly once."""

    def __init__(self, raw: bytes) -> None:
        self._expected: dict[bytes, str] = {}
        for line in raw.splitlines():
            found = _LINE.match(line)
            if found is None or found[2] in self._expected:
                raise FormatMalformedError(f"The manifest holds the line {line[:100]!a}, or holds it twice.")
            self._expected[found[2]] = found[1].decode("ascii")

    def meet(self, name: bytes, sha256: str) -> None:
        expected = self._expected.pop(name, None)
        if expected != sha256:
            shown = f"states {expected}" if expected else "does not list it"
            raise PayloadMismatchError(f"{name[:200]!a} has the SHA-256 {sha256}; the manifest {shown}.")

    def finish(self) -> None:
        if self._expected:
            raise PayloadMissingError(f"The manifest lists {min(self._expected)[:200]!a}, which is not there.")


class _Hashing:
    """A source that hashes what is read of it."""

    def __init__(self, source: Source) -> None:
        self._source, self.hash = source, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.hash.update(data)
        return data


def read(source: Source, length: int) -> tuple[Contents, Signed | None]:
    """Return what an artifact holds, and what its signature is to be held against.

    All of it is read: each file inside against its digest in the manifest.

    Raises:
        RefusedError: Mender's client would refuse it, or it is in a form that is not read here.
    """
    archive, budget = tar.members(source), Budget(length)
    version = whole(_next(archive, b"version"), MAX_TEXT_BYTES, "The version")
    _check_version(version)
    stated = whole(_next(archive, b"manifest"), MAX_TEXT_BYTES, "The manifest")
    manifest = _Manifest(stated)
    manifest.meet(b"version", hashlib.sha256(version).hexdigest())
    member = _next(archive)
    signed = None
    if member.name == b"manifest.sig":
        signature = base64_signature(whole(member, MAX_TEXT_BYTES, "The signature"))
        signed = Signed(signature, lambda name: hashlib.new(name, stated).digest())
        member = _next(archive)
    header = _header(member, manifest, budget)
    payloads = _payloads(archive, header, manifest, budget)
    manifest.finish()
    return _contents(header, payloads, signed), signed


def _next(archive: Iterator[tar.Member], name: bytes | None = None) -> tar.Member:
    member = next(archive, None)
    if member is None or (name is not None and member.name != name):
        found = "nothing" if member is None else f"{member.name[:100]!a}"
        raise FormatOrderError(f"The artifact has {found} where {(name or b'header.tar').decode()} must stand.")
    return member


def _check_version(raw: bytes) -> None:
    stated = _parsed(raw, "version")
    if stated.get("format") != "mender" or stated.get("version") != 3:
        raise FormatUnsupportedError(
            f"The artifact is of version {stated.get('version')!a:.40}; only version 3 is read, "
            "which all clients since 2.0 take."
        )


def _header(member: tar.Member, manifest: _Manifest, budget: Budget) -> _Header:
    if member.name == b"manifest-augment":
        raise FormatUnsupportedError("The artifact is augmented: a part of it that no signature covers.")
    found = _HEADER.match(member.name)
    if found is None:
        raise FormatOrderError(f"The artifact has {member.name[:100]!a} where header.tar must stand.")
    raw = _Hashing(member)
    inside = _inside(raw, found[1], budget)
    header = _Header(inside)
    _drain(inside)
    manifest.meet(member.name, raw.hash.hexdigest())
    return header


def _payloads(
    archive: Iterator[tar.Member], header: _Header, manifest: _Manifest, budget: Budget
) -> list[tuple[int, Payload]]:
    found: list[tuple[int, Payload]] = []
    number = -1
    for number, member in enumerate(archive):
        place = _DATA.match(member.name)
        if place is None or int(place[1]) != number or number >= len(header.types):
            raise FormatOrderError(f"The artifact has {member.name[:100]!a} where data/{number:04}.tar must stand.")
        kind = header.types[number]
        inside = _inside(member, place[2], budget)
        for file in tar.members(inside):
            payload = _payload(file, kind)
            manifest.meet(f"data/{number:04}/".encode() + file.name, payload.sha256)
            found.append((number, payload))
        _drain(inside)
    if number + 1 != len(header.types):
        raise PayloadMissingError(f"The artifact has {number + 1} payloads; its header lists {len(header.types)}.")
    return found


def _payload(file: tar.Member, kind: str) -> Payload:
    name, raw = file_name(file.name), _Hashing(file)
    _drain(raw)
    return Payload(name, kind, file.length, raw.hash.hexdigest())


def _inside(source: Source, suffix: bytes | None, budget: Budget) -> Source:
    return Inflated(source, STREAMS[suffix.decode("ascii")], budget) if suffix else source


def _drain(source: Source) -> None:
    while source.read(BLOCK_BYTES):
        pass


def _contents(header: _Header, payloads: list[tuple[int, Payload]], signed: Signed | None) -> Contents:
    provides, depends = _group(header.info, "artifact_provides"), _group(header.info, "artifact_depends")
    name, devices = provides.get("artifact_name"), depends.get("device_type")
    if not isinstance(name, str) or not name:
        raise FormatMalformedError("The artifact states no artifact_name.")
    if not isinstance(devices, list) or not devices or not all(isinstance(one, str) and one for one in devices):
        raise FormatMalformedError("The artifact states no device_type that it is for.")
    signature, signers = signed_by(signed)
    filled = {number for number, _ in payloads}
    return Contents(
        format=Format.MENDER,
        name=name,
        version=_version(header, name),
        hardware=tuple(sorted(set(devices))),
        payloads=tuple(payload for _, payload in payloads),
        signature=signature,
        signers=signers,
        details={
            "artifact_name": name,
            "artifact_group": provides.get("artifact_group") or "",
            "device_types": devices,
            "provides": provides,
            "depends": depends,
            "payloads": [
                _shown(one, kind, number in filled)
                for number, (one, kind) in enumerate(zip(header.infos, header.types, strict=True))
            ],
            "scripts": sorted(header.scripts),
        },
    )


def _version(header: _Header, name: str) -> str:
    """Return the version that the payloads provide where they agree on one, else the artifact's name."""
    provided = [_group(one, "artifact_provides") for one in header.infos]
    versions = {value for each in provided for key, value in each.items() if key.endswith(".version")}
    found = versions.pop() if len(versions) == 1 else name
    return found if isinstance(found, str) else name


def _shown(type_info: Mapping[str, Any], kind: str, is_filled: bool) -> dict[str, Any]:
    clears = type_info.get("clears_artifact_provides") or []
    if not isinstance(clears, list) or not all(isinstance(one, str) for one in clears):
        raise FormatMalformedError("clears_artifact_provides is no list of strings.")
    return {
        "type": kind,
        "provides": _group(type_info, "artifact_provides"),
        "depends": _group(type_info, "artifact_depends"),
        "clears_provides": clears,
        "empty": not is_filled,
    }


def _typed(payload: object) -> str:
    kind = (payload.get("type") or "") if isinstance(payload, dict) else None
    if not isinstance(kind, str):
        raise FormatMalformedError("A payload's type is no text.")
    return kind


def _group(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name) or {}
    values = found.values() if isinstance(found, dict) else [0]
    texts = [one for value in values for one in (value if isinstance(value, list) else [value])]
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in texts):
        raise FormatMalformedError(f"{name} is no table of texts and lists of texts.")
    return found


def _document(member: tar.Member, what: str) -> dict[str, Any]:
    return _parsed(whole(member, MAX_TEXT_BYTES, what), what)


def _parsed(raw: bytes, what: str) -> dict[str, Any]:
    try:
        document = storable.parse(raw)
        storable.refuse_unstorable(document)
    except ValueError as error:
        raise FormatMalformedError(f"{what} is no JSON: {str(error)[:200]}.") from error
    if not isinstance(document, dict):
        raise FormatMalformedError(f"{what} is no JSON object.")
    return document
