"""RAUC's bundle: a squashfs, in the form verity with its hash tree, then a CMS signature and the length of that.

In the plain form the signature covers all before it, and the manifest is a file in the squashfs. In the form verity it
holds the manifest, which names the root of the tree. The form crypt is a verity bundle whose squashfs is encrypted:
its signed manifest and its tree are checked, its images cannot be.

Details: `form` (plain, verity or crypt), `compatible`, `description`, `build`, `hooks` (files that the bundle runs).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from firmware_store.formats import verity
from firmware_store.formats.errors import (
    FormatMalformedError,
    FormatTruncatedError,
    FormatUnsupportedError,
    PayloadMismatchError,
    PayloadMissingError,
)
from firmware_store.formats.facts import Contents, Format, Payload
from firmware_store.formats.squashfs import Squashfs
from firmware_store.formats.streams import Budget, Section, Seekable, digest_of, exactly, file_name, text
from firmware_store.trust import cms
from firmware_store.trust.payload_signatures import Signed, signed_by

MANIFEST = b"manifest.raucm"
MAX_SIGNATURE_BYTES = cms.MAX_BYTES
MAX_MANIFEST_BYTES = 256 * 1024
_LENGTH_BYTES = 8
_GROUP = re.compile(r"\[([^\[\]]{1,200})\]\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SALT = re.compile(r"[0-9a-f]{64}\Z")
_SIZE = re.compile(r"[0-9]{1,15}\Z")

Manifest = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class _Image:
    """A file that the manifest names: one for a slot, or one that the bundle runs."""

    filename: bytes
    kind: str
    sha256: str
    length: int | None


def read(file: Seekable, length: int) -> tuple[Contents, Signed]:
    """Return what a bundle holds, and what its signature is to be held against.

    All of it is read: each image against its size and digest in the manifest, and the hash tree where there is one.

    Raises:
        RefusedError: RAUC would refuse it, or it is in a form that is not read here.
    """
    size, signature = _signature(file, length)
    message = cms.parse(signature)
    budget = Budget(length)
    if message.content is None:
        squashfs = Squashfs(file, size, budget)
        manifest = _parsed(b"".join(_limited(squashfs)))
        form = _bundle_form(manifest, {"plain"})
        # All of a large file: read once, however many signers and keys there are.
        signed = Signed(signature, cache(lambda name: _digest(file, size, name)))
    else:
        content = message.content
        manifest = _parsed(content)
        form = _bundle_form(manifest, {"verity", "crypt"})
        size = _check_tree(file, size, manifest["bundle"])
        signed = Signed(signature, lambda name: hashlib.new(name, content).digest())
    images = list(_images(manifest))
    payloads = _unread(images) if form == "crypt" else _checked(Squashfs(file, size, budget), images)
    return _contents(manifest, form, payloads, signed), signed


def has_signature(file: Seekable, length: int) -> bool:
    """Return whether a squashfs ends in a signature as a bundle does."""
    try:
        _, signature = _signature(file, length)
    except (FormatMalformedError, FormatTruncatedError):
        return False
    return signature[:1] == b"\x30"


def _signature(file: Seekable, length: int) -> tuple[int, bytes]:
    """Return how many bytes come before the signature, and it."""
    if length <= _LENGTH_BYTES:
        raise FormatTruncatedError(f"A bundle has more than {length} bytes.")
    file.seek(length - _LENGTH_BYTES)
    stated = int.from_bytes(exactly(file, _LENGTH_BYTES), "big")
    if not 0 < stated <= min(MAX_SIGNATURE_BYTES, length - _LENGTH_BYTES - 1):
        raise FormatMalformedError(f"The bundle ends in no signature: it would have {stated} bytes.")
    size = length - _LENGTH_BYTES - stated
    file.seek(size)
    return size, exactly(file, stated)


def _digest(file: Seekable, size: int, algorithm: str) -> bytes:
    file.seek(0)
    return digest_of(Section(file, size), algorithm)


def _limited(squashfs: Squashfs) -> Iterator[bytes]:
    position = squashfs.files().get(MANIFEST)
    if position is None:
        raise PayloadMissingError("The bundle holds no manifest.raucm.")
    size = 0
    for data in squashfs.read(position):
        size += len(data)
        if size > MAX_MANIFEST_BYTES:
            raise FormatUnsupportedError(f"The manifest is longer than {MAX_MANIFEST_BYTES} bytes.")
        yield data


def _parsed(raw: bytes) -> Manifest:
    """Read a key file as GLib does: groups in brackets, keys and values, comments after a #."""
    if len(raw) > MAX_MANIFEST_BYTES:
        raise FormatUnsupportedError(f"The manifest is longer than {MAX_MANIFEST_BYTES} bytes.")
    groups: dict[str, dict[str, str]] = {}
    current = None
    for line in raw.split(b"\n"):
        stripped = text(line.strip().replace(b"\t", b" "), "The manifest")
        if not stripped or stripped.startswith("#"):
            continue
        group = _GROUP.match(stripped)
        key, is_pair, value = stripped.partition("=")
        if group:
            current = groups.setdefault(group[1], {})
        elif current is None or not is_pair:
            raise FormatMalformedError(f"The manifest holds {stripped[:100]!a}, which is no key with a value.")
        else:
            current[key.rstrip()] = value.lstrip()
    return groups


def _bundle_form(manifest: Manifest, allowed: set[str]) -> str:
    form = manifest.get("bundle", {}).get("format", "plain")
    if form not in allowed:
        where = "in its squashfs" if allowed == {"plain"} else "in its signature"
        raise FormatMalformedError(f"A bundle of the form {form[:40]!a} has its manifest not {where}.")
    return form


def _check_tree(file: Seekable, size: int, bundle: Mapping[str, str]) -> int:
    """Check the hash tree, and return where the squashfs ends."""
    root, salt, tree = (bundle.get(f"verity-{name}", "") for name in ("hash", "salt", "size"))
    if not _SHA256.match(root) or not _SALT.match(salt) or not _SIZE.match(tree):
        raise FormatMalformedError("The manifest states no verity-hash, verity-salt and verity-size.")
    data = size - int(tree)
    verity.check(file, size=data, tree=int(tree), root=bytes.fromhex(root), salt=bytes.fromhex(salt))
    return data


def _images(manifest: Manifest) -> Iterator[_Image]:
    for group, keys in manifest.items():
        kind, _, slot = group.partition(".")
        if kind == "image" and slot and keys.get("filename"):
            sha256, size = keys.get("sha256", ""), keys.get("size", "")
            if not _SHA256.match(sha256) or not _SIZE.match(size):
                raise FormatMalformedError(f"The image of {slot[:80]!a} has no sha256 and size in the manifest.")
            yield _Image(_name(keys["filename"]), slot, sha256, int(size))
        elif group in ("hooks", "handler") and keys.get("filename"):
            yield _Image(_name(keys["filename"]), group, "", None)


def _name(filename: str) -> bytes:
    return file_name(filename.encode()).encode()


def _checked(squashfs: Squashfs, images: list[_Image]) -> tuple[Payload, ...]:
    files = squashfs.files()
    read: dict[bytes, tuple[int, str]] = {}
    for image in images:
        name = image.filename.decode()
        if image.filename not in files:
            raise PayloadMissingError(f"The manifest names {name!a:.200}, which is not in the bundle.", name=name[:200])
        if image.filename not in read:
            length, hashed = 0, hashlib.sha256()
            for data in squashfs.read(files[image.filename]):
                length += len(data)
                hashed.update(data)
            read[image.filename] = (length, hashed.hexdigest())
        _compare(image, *read[image.filename])
    return tuple(Payload(one.filename.decode(), one.kind, *read[one.filename]) for one in images)


def _compare(image: _Image, length: int, sha256: str) -> None:
    if image.length is None:
        return
    if (length, sha256) != (image.length, image.sha256):
        raise PayloadMismatchError(
            f"{image.filename.decode()!a:.200} has {length} bytes and the SHA-256 {sha256}; the manifest states "
            f"{image.length} and {image.sha256}.",
            name=image.filename.decode()[:200],
        )


def _unread(images: list[_Image]) -> tuple[Payload, ...]:
    return tuple(Payload(one.filename.decode(), one.kind, one.length or 0, one.sha256) for one in images)


def _contents(manifest: Manifest, form: str, payloads: tuple[Payload, ...], signed: Signed) -> Contents:
    update = manifest.get("update", {})
    compatible = update.get("compatible", "")
    if not compatible:
        raise FormatMalformedError("The manifest states no compatible system.")
    kind, signers = signed_by(signed)
    return Contents(
        format=Format.RAUCB,
        version=update.get("version", ""),
        hardware=(compatible,),
        payloads=payloads,
        signature=kind,
        signers=signers,
        details={
            "form": form,
            "compatible": compatible,
            "description": update.get("description", ""),
            "build": update.get("build", ""),
            "hooks": sorted(one.name for one in payloads if one.kind in ("hooks", "handler")),
        },
    )
