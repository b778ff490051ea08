"""What a database or a bucket that cannot serve right now is to whoever asked: to be tried again, not a bug."""

from botocore.exceptions import BotoCoreError, ClientError
from django.db import InterfaceError, OperationalError

from otaserver.errors import DatabaseUnavailableError, OtaError, StorageFullError, StorageUnavailableError

RETRY_SECONDS = 10
# PostgreSQL's disk_full; SQLite says it in words, and Django passes them on.
_DISK_FULL = "53100"
_SQLITE_FULL = "disk is full"
# What Ceph, MinIO and others answer when nothing more goes in, beside HTTP's own 507.
_BUCKET_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"})


def outage(error: Exception) -> OtaError | None:
    """Return the refusal that a failure of the database or the bucket is, or None if `error` is another failure."""
    if isinstance(error, BotoCoreError | ClientError):
        return _of_bucket(error)
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    if getattr(error.__cause__, "sqlstate", None) == _DISK_FULL or _SQLITE_FULL in str(error):
        return StorageFullError("The database's disk is full.", retry_after_seconds=RETRY_SECONDS)
    return DatabaseUnavailableError("The database does not answer.", retry_after_seconds=RETRY_SECONDS)


def _of_bucket(error: Exception) -> OtaError:
    answer = error.response if isinstance(error, ClientError) else {}
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status == 507 or answer.get("Error", {}).get("Code") in _BUCKET_FULL:
        return StorageFullError("The bucket takes no more.", retry_after_seconds=RETRY_SECONDS)
    return StorageUnavailableError("The bucket does not answer as it should.", retry_after_seconds=RETRY_SECONDS)
