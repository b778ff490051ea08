from otaserver.errors import ConflictError, RefusedError


class VehicleInServiceError(ConflictError):
    """It still calls, by the name that would be erased."""

    code = "vehicle.in_service"


class ReasonMissingError(RefusedError):
    code = "privacy.reason_missing"


class RetentionRefusedError(RefusedError):
    code = "retention.refused"
