"""How refusals look in DDI: hawkBit's status codes, and its bodies where there are any."""

from dataclasses import dataclass

from otaserver.campaigns.errors import (
    AttemptNotFoundError,
    ReleaseUnknownError,
    StandingConsentGivenError,
    TooManyConsentsError,
    TooManyLogsError,
    TooManyReportsError,
)
from otaserver.errors import OtaError
from otaserver.fleet.errors import (
    CredentialInvalidError,
    EcuSerialTakenError,
    InventoryRefusedError,
    InventoryTooLargeError,
    VehicleDecommissionedError,
    VehicleIdRefusedError,
    VehicleNotFoundError,
    VehicleOtherProtocolError,
)
from otaserver.statemachine import InvalidTransitionError, StaleStateError
from otaserver.vehicle_api.errors import (
    BodyIncompleteError,
    BodyMalformedError,
    DownloadNotFoundError,
    FieldsInvalidError,
    TenantNotFoundError,
)

_REST = "org.eclipse.hawkbit.rest.exception."
_REPOSITORY = "org.eclipse.hawkbit.repository.exception."


@dataclass(frozen=True)
class Answer:
    """A status, and which error the body names; without one the body is empty."""

    status: int
    exception: str = ""
    error: str = ""


UNREADABLE = Answer(400, _REST + "MessageNotReadableException", "hawkbit.server.error.rest.body.notReadable")
BAD_ATTRIBUTES = Answer(
    400, _REPOSITORY + "InvalidTargetAttributeException", "hawkbit.server.error.repo.invalidTargetAttributes"
)
TOO_MANY = Answer(429, _REPOSITORY + "AssignmentQuotaExceededException", "hawkbit.server.error.quota.tooManyEntries")
NOT_CANCELABLE = Answer(
    405, _REPOSITORY + "CancelActionNotAllowedException", "hawkbit.server.error.action.notCancelable"
)
BAD_ID = Answer(400, "jakarta.validation.ConstraintViolationException", "hawkbit.server.error.repo.constraintViolation")
BINARY_DELETED = Answer(
    410, _REPOSITORY + "ArtifactBinaryNoLongerExistsException", "hawkbit.server.error.artifact.binaryDeleted"
)
CONFLICT = Answer(
    409, _REPOSITORY + "ConcurrentModificationException", "hawkbit.server.error.repo.concurrentModification"
)
AUTO_CONFIRM_ACTIVE = Answer(
    409,
    _REPOSITORY + "AutoConfirmationAlreadyActiveException",
    "hawkbit.server.error.repo.autoConfAlreadyActive",
)


class DdiError(OtaError):
    """A refusal that only DDI has; `answer` is how it looks."""

    code = "ddi.refused"
    answer = Answer(400)


class NotThereError(DdiError):
    """There is no such thing now, or none that this vehicle may see."""

    answer = Answer(404)


class UnreadableError(DdiError):
    answer = UNREADABLE


class GoneError(DdiError):
    answer = Answer(410)


class NotCancelableError(DdiError):
    answer = NOT_CANCELABLE


class NotAcceptableError(DdiError):
    answer = Answer(406)


class UnsupportedMediaError(DdiError):
    answer = Answer(415)


class PreconditionFailedError(DdiError):
    answer = Answer(412)


class TooManyMessagesError(DdiError):
    answer = TOO_MANY


class TooManyRequestsError(DdiError):
    answer = Answer(429)


class AddressBlockedError(DdiError):
    answer = Answer(403)


class BadAttributesError(DdiError):
    answer = BAD_ATTRIBUTES


_ANSWERS: dict[type[OtaError], Answer] = {
    CredentialInvalidError: Answer(401),
    TenantNotFoundError: Answer(401),
    VehicleNotFoundError: Answer(404),
    VehicleOtherProtocolError: Answer(404),
    VehicleDecommissionedError: Answer(404),
    AttemptNotFoundError: Answer(404),
    ReleaseUnknownError: Answer(404),
    VehicleIdRefusedError: BAD_ID,
    EcuSerialTakenError: CONFLICT,
    InventoryRefusedError: BAD_ATTRIBUTES,
    InventoryTooLargeError: TOO_MANY,
    TooManyReportsError: TOO_MANY,
    TooManyConsentsError: TOO_MANY,
    TooManyLogsError: TOO_MANY,
    StandingConsentGivenError: AUTO_CONFIRM_ACTIVE,
    StaleStateError: CONFLICT,
    InvalidTransitionError: CONFLICT,
    BodyMalformedError: UNREADABLE,
    BodyIncompleteError: UNREADABLE,
    FieldsInvalidError: UNREADABLE,
    DownloadNotFoundError: BINARY_DELETED,
}


def answer_for(error: OtaError) -> Answer:
    """Return how a refusal looks in DDI; one that DDI has no form for has its own status and no body."""
    if isinstance(error, DdiError):
        return error.answer
    return _ANSWERS.get(type(error), Answer(error.status))
