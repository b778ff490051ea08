"""The documents that a DDI vehicle reads: what to do, with what, and what it said of it before."""

from typing import Any

from otaserver.campaigns.queries import Delivery, PackageForEcus, VehicleOrder
from otaserver.campaigns.states import AssignmentState, ReportOutcome
from otaserver.vehicle_api.ddi.links import Links

DEFAULT_PART = "os"
DEADLINE_KEY = "consent_deadline"
# What hawkBit calls where an action stands.
_STATUS = {
    AssignmentState.DOWNLOADING: "DOWNLOAD",
    AssignmentState.DOWNLOADED: "DOWNLOADED",
    AssignmentState.WITHDRAWING: "CANCELING",
}
_ENDED = {
    ReportOutcome.SUCCESS: "FINISHED",
    ReportOutcome.FAILURE: "ERROR",
    ReportOutcome.REFUSED: "CANCELED",
    ReportOutcome.NONE: "CANCELED",
}


def deployment(order: VehicleOrder, links: Links) -> dict[str, Any]:
    """Return an order as `deployment`: its mode, and a chunk for each package.

    "forced": nobody is asked; "attempt": the owner was, or may be; "skip": download, and wait.
    """
    mode = "forced" if order.is_urgent else "attempt"
    found: dict[str, Any] = {"download": mode, "update": mode}
    if order.is_open and order.delivery == Delivery.DOWNLOAD:
        found |= {"download": "forced", "update": "skip", "maintenanceWindow": "unavailable"}
    elif order.is_open and order.has_windows:
        found["maintenanceWindow"] = "available"
    found["chunks"] = [_chunk(package, links) for package in order.packages]
    if order.is_open and order.delivery == Delivery.ASK and order.goes_ahead_at is not None:
        # The protocol has no other place for what an owner is to know before he answers.
        told = {"key": DEADLINE_KEY, "value": order.goes_ahead_at.isoformat()}
        found["chunks"] = [chunk | {"metadata": [told]} for chunk in found["chunks"]]
    return found


def history(order: VehicleOrder, lines: list[str]) -> dict[str, Any]:
    """Return `actionHistory`, or nothing where nothing was said."""
    status = _STATUS.get(order.state, "RUNNING") if order.is_open else _ENDED[order.outcome]
    return {"actionHistory": {"status": status, "messages": lines}} if lines else {}


def artifact(package: PackageForEcus, links: Links) -> dict[str, Any]:
    return {
        "filename": package.filename,
        "hashes": {"sha1": package.sha1, "md5": package.md5, "sha256": package.sha256},
        "size": package.length,
        "_links": {
            "download-http": links.to_artifact(package),
            "md5sum-http": links.to_artifact(package, ".MD5SUM"),
        },
    }


def _chunk(package: PackageForEcus, links: Links) -> dict[str, Any]:
    return {
        "part": package.part or DEFAULT_PART,
        "version": package.version,
        "name": package.name,
        "artifacts": [artifact(package, links)],
    }
