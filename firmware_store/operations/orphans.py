"""Files that no package refers to: left by a crash between two steps, or by a database that was restored."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage

from firmware_store import blobs, buckets
from firmware_store.direct_models import DirectUpload
from firmware_store.models import Package
from firmware_store.operations.direct_uploads import FOLDER
from firmware_store.states import PackageState

# So young a file may belong to a package that is being declared or stored right now.
MIN_AGE = timedelta(hours=24)
_FOLDER = re.compile(r"[0-9a-f]{2}\Z")
_BLOB = re.compile(r"[0-9a-f]{64}\Z")
_UPLOAD = re.compile(r"(([0-9]{1,18})-([0-9a-f]{64}))\.part\Z")


def remove_orphans(*, now: datetime) -> int:
    """Delete stored files and uploads that no package refers to and that are a day old; return how many.

    Whether a file is needed is asked while nobody can store the same content. Repeating finds nothing.
    """
    removed = sum(map(_remove_blob, _old_blobs(now))) + sum(map(_remove_upload, _old_uploads(now)))
    return removed + (_remove_direct_uploads(now - MIN_AGE) if buckets.is_bucket() else 0)


def _old_blobs(now: datetime) -> Iterator[str]:
    for first in _folders(""):
        for second in _folders(first):
            folder = f"{first}/{second}"
            for name in default_storage.listdir(folder)[1]:
                is_blob = _BLOB.match(name) and name.startswith(first + second)
                if is_blob and default_storage.get_modified_time(f"{folder}/{name}") <= now - MIN_AGE:
                    yield name


def _folders(path: str) -> list[str]:
    try:
        return sorted(name for name in default_storage.listdir(path)[0] if _FOLDER.match(name))
    except FileNotFoundError:
        return []


def _remove_blob(sha256: str) -> bool:
    needing = Package.objects.exclude(state=PackageState.REFUSED).filter(sha256=sha256)
    if needing.exists():
        return False
    blobs.delete_unless(sha256, needing.exists)
    return not default_storage.exists(blobs.blob_path(sha256))


def _old_uploads(now: datetime) -> Iterator[tuple[str, str, str]]:
    for path in Path(settings.UPLOAD_DIR).glob("*.part"):
        found = _UPLOAD.match(path.name)
        if found and path.stat().st_mtime <= (now - MIN_AGE).timestamp():
            yield found.group(1), found.group(2), found.group(3)


def _remove_upload(upload: tuple[str, str, str]) -> bool:
    name, number, sha256 = upload
    if Package.objects.filter(pk=int(number), sha256=sha256, state=PackageState.UPLOADING).exists():
        return False
    blobs.discard(name)
    return True


def _remove_direct_uploads(before: datetime) -> int:
    """Delete what waits in the bucket for nobody: parts, and objects that were made of them."""
    found = dict(buckets.uploads_under(FOLDER, before=before))
    found |= {name: found.get(name, "") for name in buckets.objects_under(FOLDER, before=before)}
    needed = set(DirectUpload.objects.filter(name__in=found).values_list("name", flat=True))
    for name in found.keys() - needed:
        buckets.discard(name, found[name])
    return len(found.keys() - needed)
