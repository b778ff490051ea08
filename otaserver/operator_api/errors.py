from otaserver.errors import OtaError


class MalformedError(OtaError):
    """The bytes are not what their content type promises."""

    status = 400
    code = "request.malformed"


class FieldsInvalidError(OtaError):
    """Well-formed JSON whose fields do not fit; `fields` says which and why."""

    status = 422
    code = "request.fields_invalid"


class CursorInvalidError(OtaError):
    status = 400
    code = "cursor.invalid"


class HeaderInvalidError(OtaError):
    status = 400
    code = "header.invalid"


class PreconditionRequiredError(OtaError):
    """A change that must name the version it starts from (RFC 6585, 3)."""

    status = 428
    code = "precondition.required"


class LengthRequiredError(OtaError):
    """Nobody can tell where the body ends (RFC 9110, 15.5.12)."""

    status = 411
    code = "request.length_required"


class MediaTypeError(OtaError):
    status = 415
    code = "request.media_type"
