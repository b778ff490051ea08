"""How an attempt is named to a client that repeats a text of the Director's: a URN with its UUID. Pure."""

from uuid import UUID

_PREFIX = "urn:ota:attempt:"


def correlation_id(attempt: UUID | str) -> str:
    """Return the text that stands for an attempt in signed targets, events and reports."""
    return f"{_PREFIX}{attempt}"


def attempt_of(correlation: str) -> UUID | None:
    """Return the attempt that a client's text stands for; None: it is not one of ours."""
    if not correlation.startswith(_PREFIX):
        return None
    try:
        return UUID(correlation.removeprefix(_PREFIX))
    except ValueError:
        return None
