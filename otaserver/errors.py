"""What every refusal is: a category that edges turn into a status, a stable code, a sentence with the actual values."""

from typing import Any, ClassVar


class OtaError(Exception):
    """A request that cannot be served, for a reason its sender can act on.

    `code` is stable (`<noun>.<reason>`); the message holds the offending values and the rule;
    `details` are those values again for programs.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "request.invalid"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class UnauthenticatedError(OtaError):
    """Nobody we know: no credential, or one that is wrong, expired or revoked."""

    status = 401
    code = "credential.invalid"


class ForbiddenError(OtaError):
    """Somebody we know, who may not do this."""

    status = 403
    code = "permission.missing"


class NotFoundError(OtaError):
    """Nothing here by that name, or nothing that the caller may know of."""

    status = 404
    code = "resource.not_found"


class ConflictError(OtaError):
    """The right request at the wrong moment."""

    status = 409
    code = "resource.conflict"


class PreconditionError(OtaError):
    """If-Match named a version that is no longer the current one (RFC 9110, 13.1.1)."""

    status = 412
    code = "precondition.failed"


class TooLargeError(OtaError):
    """More bytes than were announced or are allowed."""

    status = 413
    code = "request.too_large"


class RefusedError(OtaError):
    """Well-formed, but it breaks a rule."""

    status = 422
    code = "request.refused"


class RateLimitedError(OtaError):
    """Too many tries; `retry_after_seconds` says when the next one is worth while."""

    status = 429
    code = "rate.limited"

    def __init__(self, message: str, *, retry_after_seconds: int, **details: Any) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds, **details)
        self.retry_after_seconds = retry_after_seconds


class StorageFullError(OtaError):
    """The disk or the bucket takes no more; what was received so far stays and can be resumed."""

    status = 507
    code = "storage.full"


class DatabaseUnavailableError(OtaError):
    """The database is busy, or away; `retry_after_seconds` says when the next try is worth while."""

    status = 503
    code = "server.busy"


class StorageUnavailableError(OtaError):
    """The bucket is away, or refuses the server; `retry_after_seconds` says when the next try is worth while."""

    status = 503
    code = "storage.unavailable"
