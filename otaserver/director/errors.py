"""What the Director refuses, each with its stable code."""

from otaserver.errors import ConflictError, ForbiddenError, NotFoundError, OtaError, RefusedError, TooLargeError


class OrderRefusedError(RefusedError):
    """An order that must not be signed; `details["vehicle"]` is the row's id, so that a caller can leave it out."""

    code = "order.refused"


class OrderEmptyError(OrderRefusedError):
    code = "order.empty"


class OrderVehicleUnknownError(OrderRefusedError):
    code = "order.vehicle_unknown"


class OrderEcuUnknownError(OrderRefusedError):
    code = "order.ecu_unknown"


class OrderEcuTwiceError(OrderRefusedError):
    code = "order.ecu_twice"


class OrderHardwareUnfitError(OrderRefusedError):
    code = "order.hardware_unfit"


class OrderPackageUnpublishedError(OrderRefusedError):
    code = "order.package_unpublished"


class OrderPackageChangedError(OrderRefusedError):
    code = "order.package_changed"


class OrderTextRefusedError(OrderRefusedError):
    code = "order.text_refused"


class SignedMeanwhileError(ConflictError):
    code = "director.signed_meanwhile"


class MetadataVersionNotFoundError(NotFoundError):
    code = "metadata.not_found"


class ManifestUnreadableError(OtaError):
    """Not JSON as this server reads it: strictly."""

    code = "request.malformed"


class ManifestTooLargeError(TooLargeError):
    code = "manifest.too_large"


class ManifestOtherVehicleError(ForbiddenError):
    code = "manifest.other_vehicle"


class ManifestReplayedError(ConflictError):
    code = "manifest.replayed"


class ManifestMalformedError(RefusedError):
    code = "manifest.malformed"


class ManifestWrongPrimaryError(RefusedError):
    code = "manifest.wrong_primary"


class ManifestSignatureInvalidError(RefusedError):
    code = "manifest.signature_invalid"


class ManifestForeignEcuError(RefusedError):
    code = "manifest.foreign_ecu"
