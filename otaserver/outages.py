"""What a database that cannot serve right now is to whoever asked: to be tried again, not a bug."""

from django.db import InterfaceError, OperationalError

from otaserver.errors import DatabaseUnavailableError, OtaError, StorageFullError

RETRY_SECONDS = 10
# PostgreSQL's disk_full; SQLite says it in words, and Django passes them on.
_DISK_FULL = "53100"
_SQLITE_FULL = "disk is full"


def outage(error: Exception) -> OtaError | None:
    """Return the refusal that a failure of the database is, or None if `error` is another failure."""
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    if getattr(error.__cause__, "sqlstate", None) == _DISK_FULL or _SQLITE_FULL in str(error):
        return StorageFullError("The database's disk is full.", retry_after_seconds=RETRY_SECONDS)
    return DatabaseUnavailableError("The database does not answer.", retry_after_seconds=RETRY_SECONDS)
