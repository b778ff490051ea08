"""Two families: "not now" may work later, "never" is wrong in itself.

A refusal by verification is reported as an attack either way. It ends an attempt only if what was validly signed proves
it wrong: what anybody on the wire can send must not end the attempts of a whole fleet, so that it is tried again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why verification refused. Stable: goes into `attacks_detected` and into logs."""

    CLOCK = "clock"  # a signed time that cannot be
    DELEGATION = "delegation"  # the delegation graph is out of bounds, or a role signs what it may not
    DIRECTOR_MISUSE = "director_misuse"  # the Director delegates, names an ECU twice, unknown, or with other hardware
    EQUIVOCATION = "equivocation"  # one version, two contents
    FREEZE = "freeze"  # expired
    IMAGE_CORRUPT = "image_corrupt"  # bytes that are not those that were signed
    IMAGE_MISMATCH = "image_mismatch"  # Director and Image repository disagree
    IMAGE_ROLLBACK = "image_rollback"  # release counter lower than the committed one
    IMAGE_UNKNOWN = "image_unknown"  # the Image repository does not know the Director's target
    INCONSISTENT = "inconsistent"  # files of one repository that do not belong together
    MALFORMED = "malformed"  # not what one reader and another would read alike
    MIX_AND_MATCH = "mix_and_match"  # another version or hash than the parent names
    OVERSIZED = "oversized"  # more bytes than allowed
    ROLLBACK = "rollback"  # older than what is trusted
    ROOT_CHAIN = "root_chain"  # not exactly the next root
    SIGNATURE = "signature"  # too few valid signatures
    SLOW_RETRIEVAL = "slow_retrieval"  # a trickle
    THRESHOLD = "threshold"  # one key under several ids
    UNSAFE_NAME = "unsafe_name"  # a target name that could leave its place
    WRONG_VEHICLE = "wrong_vehicle"  # meant for another vehicle


class VehicleError(Exception):
    """What a cycle may end with. `code` is stable, the message holds the values."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NotNowError(VehicleError):
    """The network, the server or the disk: the same thing may work later.

    `is_suspicious` marks what could be an attack (slow retrieval) and is reported as one.
    """

    def __init__(
        self, code: str, message: str, *, retry_after_seconds: float | None = None, is_suspicious: bool = False
    ) -> None:
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds
        self.is_suspicious = is_suspicious


class NeverError(VehicleError):
    """Wrong in itself: trying again with the same input cannot help."""


class VerificationError(NeverError):
    """Metadata or an image failed verification.

    `evidence` is what was refused, if it is validly signed. `attempt` is set once that proves that it cannot succeed.
    """

    def __init__(
        self, reason: Reason, message: str, *, attempt: str = "", evidence: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(reason.value, message)
        self.reason = reason
        self.attempt = attempt
        self.evidence = evidence


class RejectedError(NeverError):
    """The server understood the request and will not have it (4xx)."""

    def __init__(self, code: str, message: str, *, status: int) -> None:
        super().__init__(code, message)
        self.status = status


class InternalError(NeverError):
    """A defect of this client, or of what it stands on (its disk, a hook in its process): what nobody foresaw."""

    def __init__(self, error: Exception) -> None:
        super().__init__("internal", f"{type(error).__name__}: {error}")


class ConfigError(NeverError):
    """The configuration cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__("config.invalid", message)


@contextmanager
def proving_against(attempt: str) -> Iterator[None]:
    """Say of what is refused in this block that validly signed content has proved it: `attempt` cannot succeed."""
    try:
        yield
    except VerificationError as error:
        error.attempt = attempt
        raise
