"""Download addresses that prove themselves: whoever holds the secret can check one without a database. Pure.

`/downloads/<sha256>?expires=<unix seconds>&signature=<hex>`; the signature is HMAC-SHA-256 over `<sha256>\\n<expires>`.
"""

import hashlib
import hmac
import re
from datetime import datetime

_EXPIRES = re.compile(r"[1-9][0-9]{0,11}\Z")
_ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))\Z")
_SEVERAL_RANGES = re.compile(r"bytes=\s*(?:[0-9]+-[0-9]*|-[0-9]+)(?:\s*,\s*(?:[0-9]+-[0-9]*|-[0-9]+))+\Z")


class UnsatisfiableRangeError(ValueError):
    """No byte of the file is in the range that was asked for: 416."""


def sign(sha256: str, *, expires: int, secret: str) -> str:
    """Return the query string for the file until `expires` (seconds since 1970)."""
    return f"expires={expires}&signature={_signature(sha256, str(expires), secret)}"


def verify(sha256: str, *, expires: str, signature: str, secret: str, at: datetime) -> bool:
    """Return whether this query string was signed here for this file and has not expired."""
    if not _EXPIRES.match(expires) or int(expires) <= at.timestamp():
        return False
    expected = _signature(sha256, expires, secret)
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


def parse_range(header: str, length: int, *, is_strict: bool = False) -> slice | None:
    """Return the bytes that a Range header asks for, or None for the whole file (RFC 9110, 14.2).

    Several ranges at once get the whole file, and so do other units and malformed headers, as the RFC allows;
    `is_strict` refuses those as hawkBit does.

    Raises:
        UnsatisfiableRangeError: the range begins behind the end, or asks for the last 0 bytes.
    """
    found = _ONE_RANGE.match(header.strip())
    if found is None:
        if is_strict and not _SEVERAL_RANGES.match(header.strip()):
            raise UnsatisfiableRangeError(header)
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if int(suffix) == 0 or length == 0:
            raise UnsatisfiableRangeError(header)
        return slice(max(length - int(suffix), 0), length)
    start = int(first)
    if last is not None and int(last) < start:
        if is_strict:
            raise UnsatisfiableRangeError(header)
        return None
    if start >= length:
        raise UnsatisfiableRangeError(header)
    return slice(start, length if last is None else min(int(last) + 1, length))


def _signature(sha256: str, expires: str, secret: str) -> str:
    return hmac.new(secret.encode(), f"{sha256}\n{expires}".encode(), hashlib.sha256).hexdigest()
