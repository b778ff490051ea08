"""What is odd in a manifest that is genuine: noted and flagged, never a reason to refuse it (Uptane 5.3.2.1). Pure.

A finding is `<kind>:<ECU serial>` with, for some, `:<detail>`.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from otaserver.director.manifests import UNKNOWN_IMAGE, EcuReport

# A vehicle's clock is what it can be; beyond this it could not tell expired metadata from fresh.
CLOCK_TOLERANCE = timedelta(days=1)
MAX_DETAIL_LENGTH = 200


@dataclass(frozen=True)
class KnownEcu:
    """What the inventory says of an ECU: its hardware, and the SHA-256 that it last reported (empty: none yet)."""

    hardware_id: str
    installed_sha256: str


@dataclass(frozen=True)
class KnownImage:
    """What the Image repository says of a target, published now or earlier; `name` and `version` are its package's."""

    sha256: str
    length: int
    hardware_ids: Sequence[str]
    name: str = ""
    version: str = ""


def presence_findings(reports: Iterable[EcuReport], ecus: Iterable[str]) -> list[str]:
    """Return the ECUs of the inventory that did not report, and the reports of ECUs that it does not know."""
    reported, known = {report.serial for report in reports}, set(ecus)
    missing = [f"missing_ecu:{serial}" for serial in sorted(known - reported)]
    return missing + [f"unknown_ecu:{serial}" for serial in sorted(reported - known)]


def report_findings(report: EcuReport, ecu: KnownEcu, image: KnownImage | None, *, at: datetime) -> list[str]:
    """Return what is odd in one ECU's report by itself: an attack it saw, its clock, an image that it cannot have."""
    found = []
    if report.attacks:
        found.append(f"attack_detected:{report.serial}:{report.attacks[:MAX_DETAIL_LENGTH]}")
    if report.time > (at + CLOCK_TOLERANCE).strftime("%Y-%m-%dT%H:%M:%SZ"):
        found.append(f"clock_ahead:{report.serial}:{report.time}")
    if report.target_name == UNKNOWN_IMAGE:
        return found
    if image is None:
        found.append(f"image_unpublished:{report.serial}:{report.target_name}")
    elif (report.sha256, report.length) != (image.sha256, image.length):
        found.append(f"image_altered:{report.serial}:{report.target_name}")
    elif ecu.hardware_id not in image.hardware_ids:
        found.append(f"image_unfit:{report.serial}:{report.target_name}")
    return found


def resent_reports(reports: Iterable[EcuReport], last: Iterable[EcuReport], randomised: Set[str]) -> frozenset[str]:
    """Return the ECUs whose reports are copies of the last ones: a Primary repeats what it has of one out of reach.

    Told by the signature alone, where the kind of key never signs twice alike (`randomised`), and where nothing counts.
    """
    before = {report.serial: report.signed.signatures for report in last}
    return frozenset(
        report.serial
        for report in reports
        if report.counter is None
        and report.serial in randomised
        and before.get(report.serial) == report.signed.signatures
    )


def resent_finding(serial: str) -> str:
    """Return the finding for a report that is a copy of an earlier one: it proves nothing of now."""
    return f"report_resent:{serial}"


def is_change(report: EcuReport, ecu: KnownEcu) -> bool:
    """Return whether an ECU that had reported before now runs something else."""
    return ecu.installed_sha256 not in ("", report.sha256)


def directed_digests(contents: Iterable[Mapping[str, Any] | None], serial: str) -> frozenset[str]:
    """Return the SHA-256 of what these directions order for the ECU."""
    return frozenset(
        target["hashes"]["sha256"]
        for content in contents
        if content is not None
        for target in content["targets"].values()
        if serial in target["custom"]["ecuIdentifiers"]
    )


def unassigned_finding(report: EcuReport) -> str:
    """Return the finding for an image that was never ordered for this ECU, and that it never ran before."""
    return f"image_unassigned:{report.serial}:{report.target_name}"
