"""Which format a file has, and what is in it."""

from firmware_store.formats import cpio, mender, raucb, squashfs, swu, tar
from firmware_store.formats.facts import Contents, Format
from firmware_store.formats.streams import Seekable, exactly
from firmware_store.trust.payload_signatures import Signed

_SUFFIXES = {".swu": Format.SWU, ".raucb": Format.RAUCB, ".mender": Format.MENDER}


def read(file: Seekable, *, length: int, filename: str) -> tuple[Contents, Signed | None]:
    """Return what a package file of `length` bytes holds, and its signature.

    The end of its name says which client it is for; a file under another name is read as what it begins as, and is
    plain where that is nothing known.

    Raises:
        RefusedError: its own client would refuse it, or it is in a form that is not read here.
    """
    format_ = format_of(file, length=length, filename=filename)
    file.seek(0)
    if format_ == Format.SWU:
        return swu.read(file)
    if format_ == Format.MENDER:
        return mender.read(file, length)
    if format_ == Format.RAUCB:
        return raucb.read(file, length)
    return Contents(Format.PLAIN), None


def format_of(file: Seekable, *, length: int, filename: str) -> Format:
    """Return the format that a file's name claims, or else the one that it begins as."""
    claimed = next((found for suffix, found in _SUFFIXES.items() if filename.lower().endswith(suffix)), None)
    if claimed is not None:
        return claimed
    file.seek(0)
    start = exactly(file, min(length, 2 * tar.RECORD_BYTES))
    if start[:6] in (cpio.NEWC, cpio.CRC) and start[cpio.HEADER_BYTES :].startswith(swu.DESCRIPTION.encode() + b"\0"):
        return Format.SWU
    if start.startswith(b"version\0") and b'"mender"' in start[tar.RECORD_BYTES :]:
        return Format.MENDER
    if start.startswith(squashfs.MAGIC) and raucb.has_signature(file, length):
        return Format.RAUCB
    return Format.PLAIN
