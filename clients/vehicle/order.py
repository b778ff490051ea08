"""The Director's order as read from verified Targets metadata."""

import base64
import binascii
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from tuf.api.metadata import TargetFile, Targets

from clients.vehicle.errors import Reason, VerificationError
from clients.vehicle.slots import Image

MAX_GRACE_HOURS = 87_600  # ten years
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def parse_time(text: str) -> datetime:
    """Parse the one form of time that metadata uses. Raises ValueError."""
    return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)


def format_time(at: datetime) -> str:
    return at.strftime(TIME_FORMAT)


@dataclass(frozen=True)
class Package:
    """One image for one ECU. Lower positions are installed first."""

    ecu: str
    hardware_id: str
    image: Image
    position: int = 0


@dataclass(frozen=True)
class Order:
    """All that one attempt asks of this vehicle. `grace_hours` None is the permit "online"."""

    attempt: str
    number: int
    campaign: str
    release: str
    packages: tuple[Package, ...]
    grace_hours: int | None = None
    not_before: str | None = None
    preconditions: tuple[Mapping[str, Any], ...] = ()
    consent: Mapping[str, Any] | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    # Start and end of each time at which it may be installed; None is at any time, empty or used up is never.
    windows: tuple[tuple[str, str], ...] | None = None

    def is_open(self, at: datetime) -> bool:
        """Return whether one of the windows is open."""
        return self.windows is None or any(parse_time(start) <= at < parse_time(end) for start, end in self.windows)

    def notes_tag(self, language: str) -> str:
        """Return which notes there are for `language`: its own, its base language's, English or any; "" for none."""
        tags = (language, language.partition("-")[0], "en", *sorted(self.notes))
        return next((tag for tag in tags if tag in self.notes), "")

    def notes_in(self, language: str) -> str:
        """Return the release notes in `language`, in its base language, in English, or any (in this order)."""
        return self.notes.get(self.notes_tag(language), "")

    def as_document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Order":
        packages = tuple(Package(**{**package, "image": Image(**package["image"])}) for package in document["packages"])
        listed = document.get("windows")
        changes = {
            "packages": packages,
            "preconditions": tuple(document["preconditions"]),
            "windows": None if listed is None else tuple((start, end) for start, end in listed),
        }
        return cls(**{**document, **changes})


def read_order(targets: Targets) -> Order | None:
    """Return what the Director orders, None for nothing.

    Raises:
        VerificationError: it is signed, but no order that this client understands; `attempt` is set if that much is.
    """
    if not targets.targets:
        return None
    attempt = ""
    try:
        order = targets.unrecognized_fields["custom"]["order"]
        attempt = str(uuid.UUID(order["attempt"]))
        packages = [package for name, target in targets.targets.items() for package in _packages(name, target)]
        return Order(
            attempt=attempt,
            number=int(order["number"]),
            campaign=str(order["campaign"]),
            release=str(order["release"]),
            packages=tuple(sorted(packages, key=lambda package: (package.position, package.ecu))),
            grace_hours=_optional_hours(order.get("grace_hours")),
            not_before=_optional_time(order.get("not_before")),
            windows=_optional_windows(order.get("windows")),
            preconditions=tuple(dict(condition) for condition in order.get("preconditions") or ()),
            consent=dict(order["consent"]) if order.get("consent") is not None else None,
            notes={tag: base64.b64decode(text).decode("utf-8") for tag, text in (order.get("notes") or {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        message = f"the order cannot be read ({type(error).__name__}: {error})."
        raise VerificationError(Reason.MALFORMED, message, attempt=attempt) from error


def attempt_in(signed: Mapping[str, Any] | None) -> str:
    """Return the attempt that the signed part of targets names, "" for none."""
    try:
        return str(uuid.UUID((signed or {})["custom"]["order"]["attempt"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""


def _packages(name: str, target: TargetFile) -> list[Package]:
    custom = target.custom or {}
    image = Image(
        target_name=name,
        length=target.length,
        sha256=target.hashes["sha256"],
        sha512=target.hashes["sha512"],
        release_counter=_counter(custom),
        name=str(custom["name"]),
        version=str(custom["version"]),
    )
    position = int(custom.get("position", 0))
    return [Package(serial, ecu["hardwareId"], image, position) for serial, ecu in custom["ecuIdentifiers"].items()]


def _counter(custom: Mapping[str, Any]) -> int:
    counter = custom["releaseCounter"]
    if type(counter) is not int or counter < 0:
        raise ValueError(f"release counter {counter!r}")
    return counter


def _optional_hours(hours: Any) -> int | None:
    if hours is not None and (type(hours) is not int or not 0 <= hours <= MAX_GRACE_HOURS):
        raise ValueError(f"grace of {hours!r} hours")
    return hours


def _optional_time(text: str | None) -> str | None:
    return None if text is None else format_time(parse_time(text))


def _optional_windows(listed: Any) -> tuple[tuple[str, str], ...] | None:
    if listed is None:
        return None
    windows = tuple((format_time(parse_time(start)), format_time(parse_time(end))) for start, end in listed)
    if any(parse_time(start) >= parse_time(end) for start, end in windows):
        raise ValueError("a window that ends before it starts")
    return windows
