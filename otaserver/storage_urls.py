"""OTA_STORAGE_URL: where packages are kept, as Django's storages want to be told. A leaf, no Django."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

DISK = "django.core.files.storage.FileSystemStorage"
S3 = "storages.backends.s3.S3Storage"
_S3_DEFAULTS: dict[str, Any] = {
    # The older signatures are refused by every region that was opened since 2014.
    "signature_version": "s3v4",
    # What is opened whole goes to the disk beyond this; 0, the library's default, keeps all of it in memory.
    "max_memory_size": 8 * 1024**2,
}
_NUMBERS = frozenset({"querystring_expire", "max_memory_size"})
_SWITCHES = frozenset({"use_ssl", "verify", "querystring_auth"})
_WORDS = {"true": True, "false": False}


def storage_of(url: str) -> dict[str, Any]:
    """Return the entry of Django's STORAGES for `file:///path` or `s3://bucket?option=value`.

    Options are those of django-storages' S3.

    Raises:
        ValueError: it is neither, or an option is no number and should be.
    """
    parts = urlsplit(url)
    # With two slashes alone what looks like the first folder is a host, and the rest another path.
    if parts.scheme == "file" and not parts.netloc and len(parts.path) > 1:
        return {"BACKEND": DISK, "OPTIONS": {"location": parts.path}}
    if parts.scheme == "s3" and parts.netloc:
        options = {name: _value(name, text) for name, text in parse_qsl(parts.query)}
        return {"BACKEND": S3, "OPTIONS": {**_S3_DEFAULTS, **options, "bucket_name": parts.netloc}}
    raise ValueError(f"OTA_STORAGE_URL {url!r} is neither file:///path nor s3://bucket")


def _value(name: str, text: str) -> Any:
    if name in _NUMBERS:
        return int(text)
    return _WORDS.get(text, text) if name in _SWITCHES else text
