from otaserver.errors import ForbiddenError, NotFoundError, OtaError, RefusedError, TooLargeError


class MethodError(OtaError):
    """`allow` lists the methods that this address takes (RFC 9110, 15.5.6)."""

    status = 405
    code = "request.method"


class BodyMalformedError(OtaError):
    code = "request.malformed"


class BodyIncompleteError(OtaError):
    """The connection ended before the body did."""

    code = "request.incomplete"


class BodyTooLargeError(TooLargeError):
    code = "request.too_large"


class FieldsInvalidError(RefusedError):
    code = "request.fields_invalid"


class TenantNotFoundError(NotFoundError):
    code = "tenant.not_found"


class TargetNotFoundError(NotFoundError):
    code = "target.not_found"


class DownloadForbiddenError(ForbiddenError):
    code = "download.forbidden"


class DownloadNotFoundError(NotFoundError):
    code = "download.not_found"


class DownloadRangeError(OtaError):
    """No byte of the file is in the range that was asked for."""

    status = 416
    code = "download.range"


class ServerError(OtaError):
    status = 500
    code = "server.error"
