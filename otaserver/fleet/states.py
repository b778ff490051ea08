from collections.abc import Mapping

from django.db.models import TextChoices


class CredentialKind(TextChoices):
    TOKEN = "token"  # a bearer token, stored as its SHA-256
    PRE_SHARED = "pre_shared"  # a token chosen for the vehicle before it first called, stored as a salted SHA-256
    CERTIFICATE = "certificate"  # a client certificate of the tenant's fleet CA, known by its serial number
    SESSION = "session"  # a short token for a signed request of a device whose key was accepted, stored as its SHA-256


class AttributeType(TextChoices):
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"


class GroupKind(TextChoices):
    STATIC = "static"  # vehicles chosen by hand
    DYNAMIC = "dynamic"  # vehicles that match a filter, at the moment of asking


class Protocol(TextChoices):
    """By which protocol a vehicle speaks to the server: what it can be asked depends on it."""

    UPTANE = "uptane"  # the reference client
    AKTUALIZR = "aktualizr"
    DDI = "ddi", "DDI"  # hawkBit's
    MENDER = "mender"


class AuthenticationState(TextChoices):
    """What was decided of an identity that came, or will come, with a key."""

    PENDING = "pending"  # it has asked; an operator decides
    PREAUTHORISED = "preauthorised"  # expected: accepted when it asks
    ACCEPTED = "accepted"
    REJECTED = "rejected"


AUTHENTICATION_TRANSITIONS: Mapping[str, frozenset[str]] = {
    AuthenticationState.PENDING: frozenset({AuthenticationState.ACCEPTED, AuthenticationState.REJECTED}),
    AuthenticationState.PREAUTHORISED: frozenset({AuthenticationState.ACCEPTED, AuthenticationState.REJECTED}),
    AuthenticationState.ACCEPTED: frozenset({AuthenticationState.REJECTED}),
    # People change their minds.
    AuthenticationState.REJECTED: frozenset({AuthenticationState.ACCEPTED}),
}


class InventoryMode(TextChoices):
    """What a vehicle's report of attributes does to those that it reported before."""

    MERGE = "merge"  # the named ones are set, the others stay
    REPLACE = "replace"  # the named ones are all there are
    REMOVE = "remove"  # the named ones go


class ImportKind(TextChoices):
    CSV = "csv"
    JSON_LINES = "jsonl"


class ImportState(TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"  # the file is gone, or nobody could read it


IMPORT_TRANSITIONS: Mapping[str, frozenset[str]] = {
    # Running again: whoever ran it died, and every line may be taken in twice.
    ImportState.WAITING: frozenset({ImportState.RUNNING}),
    ImportState.RUNNING: frozenset({ImportState.RUNNING, ImportState.FINISHED, ImportState.FAILED}),
    ImportState.FINISHED: frozenset(),
    ImportState.FAILED: frozenset(),
}
