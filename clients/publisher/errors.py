"""What can go wrong, by what the caller can do about it. Each has a stable code, a sentence and an exit code."""

from collections.abc import Mapping
from typing import Any, ClassVar


class PublisherError(Exception):
    """A step that did not happen. Whatever happened before it stays and is picked up by the next try."""

    exit_code: ClassVar[int] = 3
    code = "publisher.refused"

    def __init__(self, message: str, *, code: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})
        if code is not None:
            self.code = code


class InputError(PublisherError):
    """Something that the caller gave cannot be used: a file, a name, a combination of options."""

    exit_code = 2
    code = "input.invalid"


class ServerRefusalError(PublisherError):
    """The server said no, with its own code and sentence (4xx)."""

    exit_code = 3
    code = "server.refused"

    def __init__(self, message: str, *, code: str, status: int, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, code=code, details=details)
        self.status = status


class UnreachableError(PublisherError):
    """Not now: no connection, or the server is not well (5xx). The same command later may work."""

    exit_code = 4
    code = "server.unreachable"


class TrustError(PublisherError):
    """What the server shows, or what is to be signed, does not hold against the keys at hand."""

    exit_code = 5
    code = "trust.broken"


class CampaignEndedBadlyError(PublisherError):
    """The campaign that was watched has been halted or cancelled, or waits for a person to decide."""

    exit_code = 6
    code = "campaign.not_completed"


class DecisionsDifferError(PublisherError):
    """What the server decided does not follow from the records that it keeps of it."""

    exit_code = 7
    code = "campaign.decisions_differ"


class LinesLeftOutError(PublisherError):
    """A fleet was taken in, but for the lines that break a rule."""

    exit_code = 8
    code = "import.lines_left_out"
