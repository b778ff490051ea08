"""What may be ordered of a vehicle, and when its metadata is signed anew: pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from firmware_store.states import Profile
from otaserver.director import errors
from otaserver.director.orders import Order, OrderedPackage


@dataclass(frozen=True)
class PublishedPackage:
    """What the Image repository says of a package; the Director's word must match it, or vehicles refuse both."""

    name: str
    version: str
    length: int
    sha256: str
    sha512: str
    hardware_ids: Sequence[str]
    release_counter: int
    is_published: bool


def check_order(order: Order, *, ecus: Mapping[str, str], packages: Mapping[str, PublishedPackage]) -> None:
    """Refuse an order that its vehicle could not, or must not, carry out.

    `ecus` are the vehicle's hardware ids by serial, `packages` its tenant's by target name.

    Raises:
        OrderRefusedError: the subclass says why.
    """
    if not order.packages:
        raise errors.OrderEmptyError(f"The order for attempt {order.attempt_id} lists no package.")
    for serial, times in Counter(package.ecu_serial for package in order.packages).items():
        if times > 1:
            raise errors.OrderEcuTwiceError(f"The order lists ECU {serial} {times} times.", ecu_serial=serial)
    for package in order.packages:
        _check_ecu(package, ecus)
        _check_package(package, packages.get(package.target_name))


def _check_ecu(package: OrderedPackage, ecus: Mapping[str, str]) -> None:
    serial, hardware_id = package.ecu_serial, ecus.get(package.ecu_serial)
    if hardware_id is None:
        raise errors.OrderEcuUnknownError(f"The vehicle has no ECU {serial}.", ecu_serial=serial)
    if package.hardware_id != hardware_id or hardware_id not in package.hardware_ids:
        raise errors.OrderHardwareUnfitError(
            f"{package.target_name} fits {', '.join(package.hardware_ids)}; ECU {serial} is a {hardware_id}.",
            ecu_serial=serial,
            target_name=package.target_name,
            hardware_id=hardware_id,
        )


def _check_package(package: OrderedPackage, published: PublishedPackage | None) -> None:
    name = package.target_name
    if published is None or not published.is_published:
        raise errors.OrderPackageUnpublishedError(f"{name} is not published, or was withdrawn.", target_name=name)
    wanted = PublishedPackage(
        package.name,
        package.version,
        package.length,
        package.sha256,
        package.sha512,
        sorted(package.hardware_ids),
        package.release_counter,
        is_published=True,
    )
    if wanted != published:
        raise errors.OrderPackageChangedError(f"{name} was published with other values.", target_name=name)


class Renewal(Enum):
    """How much of a vehicle's metadata must be signed anew."""

    NOTHING = "nothing"
    TIMESTAMP = "timestamp"
    EVERYTHING = "everything"


@dataclass(frozen=True)
class Statement:
    """What signed metadata says, or should say: the direction's revision, the attempt, and under which root."""

    revision: int
    attempt_id: UUID | None
    root_version: int


# With so much of its life left, one in so many parts, metadata is signed anew.
RENEWED_PART = 4


def renewal_due(
    signed: Statement,
    wanted: Statement,
    *,
    targets_left: timedelta,
    timestamp_left: timedelta,
    targets_lifetime: timedelta,
    timestamp_lifetime: timedelta,
) -> Renewal:
    """Return what to sign: everything when it should say something else, else what has a quarter of its life left."""
    if signed != wanted or targets_left <= targets_lifetime / RENEWED_PART:
        return Renewal.EVERYTHING
    if timestamp_left <= timestamp_lifetime / RENEWED_PART:
        return Renewal.TIMESTAMP
    return Renewal.NOTHING


def stated_attempt(
    attempt_id: UUID | None, *, blocked_at: datetime | None, stopped_at: datetime | None, is_its_time: bool = True
) -> UUID | None:
    """Return the attempt that may be stated: none for a blocked vehicle, and none while its tenant is stopped.

    `is_its_time` is false for a client that cannot wait, at a moment at which the order says to (`is_its_time`).
    """
    return attempt_id if blocked_at is None and stopped_at is None and is_its_time else None


def is_its_time(profile: str, content: Mapping[str, Any] | None, *, at: datetime) -> bool:
    """Return whether a client of this profile may be told of an order now.

    aktualizr reads no windows and installs at once what it finds: it finds an order while one of its windows is open.
    """
    if profile != Profile.AKTUALIZR or content is None:
        return True
    order = content["custom"]["order"]
    not_before, windows = order["not_before"], order["windows"]
    if not_before is not None and at < datetime.fromisoformat(not_before):
        return False
    return windows is None or any(
        datetime.fromisoformat(start) <= at < datetime.fromisoformat(end) for start, end in windows
    )
