"""Why a package file is refused: its own client would not take it, or nobody could say what is in it."""

from otaserver.errors import RefusedError


class FormatMalformedError(RefusedError):
    """The file is not what its format prescribes."""

    code = "package.format_malformed"


class FormatTruncatedError(RefusedError):
    """The file ends before its format says that it does."""

    code = "package.format_truncated"


class FormatUnsupportedError(RefusedError):
    """A variant of the format that this server does not read, so that it could not vouch for what is in it."""

    code = "package.format_unsupported"


class FormatOrderError(RefusedError):
    """The parts stand in an order in which the client does not take them."""

    code = "package.format_order"


class FormatPathError(RefusedError):
    """A name that leads somewhere else than into the folder where the client unpacks."""

    code = "package.format_path"


class FormatBombError(RefusedError):
    """Far more comes out of the file than went in."""

    code = "package.format_bomb"


class PayloadMissingError(RefusedError):
    code = "package.payload_missing"


class PayloadMismatchError(RefusedError):
    """The bytes of a payload are not the ones that the file's own description states."""

    code = "package.payload_mismatch"
