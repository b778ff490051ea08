"""The bodies that the Director signs for one vehicle: targets, snapshot, timestamp, in both profiles (Uptane 5.2).

They are assembled as the canonical bytes that are signed: of what a vehicle is served nothing is written twice.

The vehicle's id stands in each of the three, so that none can be shown to another vehicle (Uptane 5.2.3.1 asks it of
empty targets only; the others leave a replay open).

aktualizr gets what it reads and no more, since it reads 64 KiB of targets at most: even a vehicle with all the ECUs
that one can have, each with a package of its own, stays below that.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from firmware_store.states import Profile
from firmware_store.trust import primitives, profiles, reading
from otaserver.director import correlations
from otaserver.director.orders import Order, OrderedPackage

TARGETS_LIFETIME = timedelta(days=31)  # and the snapshot's: they are signed together
TIMESTAMP_LIFETIME = timedelta(days=1)


def order_content(order: Order | None) -> dict[str, Any] | None:
    """Return an order as JSON, in the words of signed targets: `custom` and `targets`. None stays None."""
    if order is None:
        return None
    targets: dict[str, Any] = {}
    for package in order.packages:
        entry = targets.setdefault(package.target_name, _target(package))
        entry["custom"]["ecuIdentifiers"][package.ecu_serial] = {"hardwareId": package.hardware_id}
    described = {
        "attempt": str(order.attempt_id),
        "number": order.number,
        "campaign": order.campaign,
        "release": order.release,
        "grace_hours": order.grace_hours,
        "not_before": reading.utc_text(order.not_before) if order.not_before else None,
        "windows": None if order.windows is None else [[reading.utc_text(at) for at in each] for each in order.windows],
        "preconditions": [dict(condition) for condition in order.preconditions],
        "consent": dict(order.consent) if order.consent is not None else None,
        # Notes are in the owner's language; signed bodies are ASCII.
        "notes": {tag: base64.b64encode(text.encode()).decode() for tag, text in order.notes.items()},
    }
    return {"custom": {"order": described}, "targets": targets}


def targets_body(
    profile: str, *, vehicle_id: str, version: int, expires_at: datetime, content: Mapping[str, Any] | None
) -> bytes:
    """Return the targets to sign; with no content they are empty and say "nothing to do".

    The content is a direction's: it has a canonical form, or the order would have been refused.

    Raises:
        NotStrictJsonError: the vehicle's id has no canonical form.
    """
    stated = content or {"custom": {}, "targets": {}}
    if profile == Profile.AKTUALIZR and content is not None:
        stated = _for_aktualizr(content)
    return _assembled(
        profile,
        "targets",
        {name: primitives.canonical_unchecked(stated[name]) for name in ("custom", "targets")},
        vehicle_id=vehicle_id,
        version=version,
        expires_at=expires_at,
    )


def snapshot_body(profile: str, *, vehicle_id: str, version: int, expires_at: datetime, targets_version: int) -> bytes:
    """Return the snapshot to sign: which version of the targets belongs to it (Uptane 5.2.4)."""
    meta = b'{"targets.json":{"version":%d}}' % targets_version
    return _assembled(
        profile, "snapshot", {"meta": meta}, vehicle_id=vehicle_id, version=version, expires_at=expires_at
    )


def timestamp_body(
    profile: str, *, vehicle_id: str, version: int, expires_at: datetime, snapshot: bytes, snapshot_version: int
) -> bytes:
    """Return the timestamp to sign over the snapshot's served bytes (Uptane 5.2.5).

    `signed_at` is the time that a vehicle without a clock of its own may trust (Uptane 5.4.2.2).
    """
    hashes = b'{"sha256":"%s"}' % hashlib.sha256(snapshot).hexdigest().encode()
    entry = b'{"hashes":%s,"length":%d,"version":%d}' % (hashes, len(snapshot), snapshot_version)
    signed_at = b'"%s"' % reading.utc_text(expires_at - TIMESTAMP_LIFETIME).encode()
    return _assembled(
        profile,
        "timestamp",
        {"meta": b'{"snapshot.json":%s}' % entry, "signed_at": signed_at},
        vehicle_id=vehicle_id,
        version=version,
        expires_at=expires_at,
    )


def _assembled(
    profile: str, role: str, parts: Mapping[str, bytes], *, vehicle_id: str, version: int, expires_at: datetime
) -> bytes:
    """Return the canonical bytes of a body whose own parts are canonical already."""
    filled = {
        b"vehicle_id": primitives.canonical(vehicle_id),
        b"version": b"%d" % version,
        b"expires": b'"%s"' % reading.utc_text(expires_at).encode(),
        **{name.encode(): part for name, part in parts.items()},
    }
    return _form(profile, role, tuple(parts)) % filled


@cache
def _form(profile: str, role: str, parts: tuple[str, ...]) -> bytes:
    """Return a body with places for what differs between vehicles: most of it is the same in all of them."""
    header = profiles.header(role, version=0, expires_at=datetime.min.replace(tzinfo=UTC), profile=profile)
    members = {name: primitives.canonical(value) for name, value in header.items()}
    members |= {name: b"%%(%s)b" % name.encode() for name in ("vehicle_id", "version", "expires", *parts)}
    return b"{%s}" % b",".join(b'"%s":%s' % (name.encode(), members[name]) for name in sorted(members))


def _for_aktualizr(content: Mapping[str, Any]) -> dict[str, Any]:
    # One hash is enough: it compares the kinds that both repositories have, and looks at bytes by the first alone.
    targets = {
        name: {
            "length": target["length"],
            "hashes": {"sha256": target["hashes"]["sha256"]},
            "custom": {part: target["custom"][part] for part in ("ecuIdentifiers", "targetFormat")},
        }
        for name, target in content["targets"].items()
    }
    attempt = content["custom"]["order"]["attempt"]
    return {"custom": {"correlationId": correlations.correlation_id(attempt)}, "targets": targets}


def _target(package: OrderedPackage) -> dict[str, Any]:
    return {
        "length": package.length,
        "hashes": {"sha256": package.sha256, "sha512": package.sha512},
        "custom": {
            "ecuIdentifiers": {},
            "hardwareIds": sorted(package.hardware_ids),
            "releaseCounter": package.release_counter,
            "name": package.name,
            "version": package.version,
            "targetFormat": "BINARY",
            "position": package.position,
        },
    }
