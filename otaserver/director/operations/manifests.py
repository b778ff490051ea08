"""Taking in vehicle version manifests (Uptane 5.3.2.1): proof of what runs, or nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import BinaryField, Exists, F, OuterRef, Value

from otaserver.director import findings, statements
from otaserver.director.aktualizr_manifests import own_keyids
from otaserver.director.errors import ManifestReplayedError
from otaserver.director.manifests import EcuReport, ManifestReader, ManifestReport, VehicleManifest, read_reference
from otaserver.director.models import Direction, InstalledImage, Manifest
from otaserver.director.operations.software import ecus_with_images, known_images, software_of
from otaserver.director.operations.verification import verify
from otaserver.errors import OtaError
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.operations import configuration_of

# Enough to see what a refused manifest was; whoever sends rubbish does not choose how much of it is kept.
REFUSED_BYTES_KEPT = 16 * 1024
# Of those refused for one reason the first, and the last: a client that nobody mends sends one with each poll.
REFUSED_KEPT = 100


@dataclass(frozen=True)
class ReceivedManifest:
    """What became of an accepted manifest. `is_new` is false when the vehicle sent its last one again.

    `proved` are the serials of the vehicle's ECUs that it speaks of, but for copies of earlier reports.
    """

    is_new: bool
    proved: frozenset[str]
    findings: tuple[str, ...]
    report: ManifestReport | None
    # All of the vehicle, as it leaves them.
    ecus: tuple[Ecu, ...]


class _Accepted(NamedTuple):
    """One that was accepted before; its body is left out where nothing asks for it."""

    pk: int
    received_at: datetime
    sha256: str
    findings: list[str]
    said_sha256: str
    is_shown: bool
    body: bytes


def receive_manifest(
    vehicle: Vehicle, body: bytes, *, at: datetime, read: ManifestReader = read_reference
) -> ReceivedManifest:
    """Verify and store a manifest that the vehicle sent; write down what its ECUs prove to run.

    The last accepted one sent again, byte for byte, changes nothing and gets the same answer: the vehicle may not have
    heard the first. Of accepted ones that say the same, time after time, the first and the last are kept. A refused one
    is stored too, its body cut to 16 KiB, the same one only once, and of many that are refused for one reason the last
    one in the place of the one before.

    Raises:
        ManifestOtherVehicleError: it speaks of another vehicle.
        ManifestReplayedError: a counter is not higher than the last one of its ECU.
        ManifestSignatureInvalidError, ManifestForeignEcuError, ManifestWrongPrimaryError: as they say.
        ManifestTooLargeError, ManifestUnreadableError, ManifestMalformedError: it is no manifest.
    """
    digest = hashlib.sha256(body).hexdigest()
    try:
        return _accept(vehicle, body, digest, at, read)
    except OtaError as refusal:
        _keep_refused(vehicle, body, digest, refusal.code, at)
        raise


@transaction.atomic
def _accept(vehicle: Vehicle, body: bytes, digest: str, at: datetime, read: ManifestReader) -> ReceivedManifest:
    manifest = read(body)
    # One manifest at a time per vehicle, so that of two equal ones the second finds the first.
    locked = Vehicle.objects.select_for_update(no_key=True).values_list("enrolled_at", flat=True)
    enrolled_at = locked.get(pk=vehicle.pk)
    ecus, images = ecus_with_images(vehicle)
    known = sorted((one for one in manifest.ecus if one.serial in ecus), key=lambda one: ecus[one.serial].pk)
    reported = frozenset(report.serial for report in known)
    randomised = _randomised(known, ecus)
    last = _last_accepted(vehicle, with_body=bool(randomised))
    # One from before the vehicle enrolled again says nothing of the ECUs that it has now.
    recent = [one for one in last if enrolled_at is None or one.received_at >= enrolled_at]
    if recent and recent[0].sha256 == digest:
        noted = recent[0].findings
        proved = frozenset(serial for serial in reported if findings.resent_finding(serial) not in noted)
        return ReceivedManifest(False, proved, tuple(noted), manifest.report, tuple(ecus.values()))
    verify(manifest, vehicle, ecus)
    resent = findings.resent_reports(known, _reports_in(last, read), randomised) if randomised else frozenset()
    images = known_images(vehicle, known, ecus, images)
    found = [*manifest.quirks, *_keyid_findings(manifest, ecus), *map(findings.resent_finding, sorted(resent))]
    found += findings.presence_findings(manifest.ecus, ecus) + _image_findings(known, vehicle, ecus, images, at)
    said = statements.said_sha256(manifest, found)
    stored = _store(vehicle, body, recent, sha256=digest, findings=found, said_sha256=said, received_at=at)
    changed = [report for report in known if _is_changed(report, ecus[report.serial])]
    for report in known:
        _write_down(report, ecus[report.serial], at, software_of(report, images.get(report.target_name)))
    changes: dict[str, Any] = {"confirmed_at": at, "is_manifest_wanted": False}
    if changed:
        _add_images(changed, stored)
        changes["configuration_id"] = configuration_of(vehicle.tenant_id, ecus.values())
    Vehicle.objects.filter(pk=vehicle.pk).update(**changes)
    for name, value in changes.items():
        setattr(vehicle, name, value)
    return ReceivedManifest(True, reported - resent, tuple(found), manifest.report, tuple(ecus.values()))


def _randomised(reports: Sequence[EcuReport], ecus: Mapping[str, Ecu]) -> frozenset[str]:
    """Return the ECUs whose keys never sign twice alike, where one of them reports and does not count."""
    found = frozenset(serial for serial, ecu in ecus.items() if ecu.public_key.get("keytype") == "rsa")
    return found if any(report.counter is None and report.serial in found for report in reports) else frozenset()


def _last_accepted(vehicle: Vehicle, *, with_body: bool) -> list[_Accepted]:
    shown = InstalledImage.objects.filter(manifest=OuterRef("pk"))
    rows = Manifest.objects.filter(vehicle=vehicle, is_accepted=True).order_by("-received_at", "-pk")
    body = F("body") if with_body else Value(b"", output_field=BinaryField())
    columns = ("pk", "received_at", "sha256", "findings", "said_sha256", Exists(shown), body)
    return [_Accepted(*row) for row in rows.values_list(*columns)[:2]]


def _reports_in(last: Sequence[_Accepted], read: ManifestReader) -> Sequence[EcuReport]:
    try:
        return read(bytes(last[0].body)).ecus if last else []
    except OtaError:
        # In the form of the protocol that the vehicle spoke before.
        return []


def _store(vehicle: Vehicle, body: bytes, recent: Sequence[_Accepted], **values: Any) -> Manifest:
    """Store an accepted manifest, in the place of the last one where that is the middle of a run that says the same."""
    said = values["said_sha256"]
    is_run = bool(said) and [one.said_sha256 for one in recent] == [said, said]
    # What images are shown by stays, and is the first of a run.
    place = recent[0].pk if is_run and not recent[0].is_shown else None
    manifest = Manifest(pk=place, vehicle=vehicle, body=body, is_accepted=True, **values)
    manifest.save()
    return manifest


def _keyid_findings(manifest: VehicleManifest, ecus: Mapping[str, Ecu]) -> list[str]:
    """Return the ECUs whose reports are signed by their key, and name another one."""
    if not manifest.signed.names_keys_itself:
        return []
    signed = [(manifest.primary_serial, manifest.signed), *((report.serial, report.signed) for report in manifest.ecus)]
    named = {
        serial
        for serial, one in signed
        if serial in ecus and not own_keyids(ecus[serial].public_key) & {each.keyid for each in one.signatures}
    }
    return [f"keyid_other:{serial}" for serial in sorted(named)]


def _image_findings(
    reports: Sequence[EcuReport],
    vehicle: Vehicle,
    ecus: Mapping[str, Ecu],
    images: Mapping[str, findings.KnownImage],
    at: datetime,
) -> list[str]:
    found, changed = [], []
    for report in reports:
        ecu = findings.KnownEcu(ecus[report.serial].hardware_id, ecus[report.serial].installed_sha256)
        found += findings.report_findings(report, ecu, images.get(report.target_name), at=at)
        if findings.is_change(report, ecu):
            changed.append(report)
    return found + _unassigned(changed, vehicle)


def _unassigned(changed: Sequence[EcuReport], vehicle: Vehicle) -> list[str]:
    """Return findings for images that were neither ordered nor ever run before by their ECU (a revert is neither)."""
    if not changed:
        return []
    directions = Direction.objects.filter(vehicle=vehicle).values_list("content", "previous_content").first() or ()
    unordered = [
        report for report in changed if report.sha256 not in findings.directed_digests(directions, report.serial)
    ]
    if not unordered:
        return []
    serials = [report.serial for report in unordered]
    rows = InstalledImage.objects.filter(vehicle=vehicle, ecu_serial__in=serials)
    ran = set(rows.values_list("ecu_serial", "sha256"))
    return [findings.unassigned_finding(report) for report in unordered if (report.serial, report.sha256) not in ran]


def _write_down(report: EcuReport, ecu: Ecu, at: datetime, software: tuple[str, str]) -> None:
    values = {
        "report_counter": ecu.report_counter if report.counter is None else report.counter,
        "installed_target": report.target_name,
        "installed_sha256": report.sha256,
        "installed_length": report.length,
        "installed_name": software[0],
        "installed_version": software[1],
        "installed_at": at if _is_changed(report, ecu) else ecu.installed_at,
        "is_asserted": False,
    }
    # One that neither counts nor says anything new has nothing to write.
    if all(getattr(ecu, name) == value for name, value in values.items()):
        return
    if not Ecu.objects.filter(pk=ecu.pk, report_counter=ecu.report_counter).update(**values):
        raise ManifestReplayedError(f"ECU {ecu.serial} has reported meanwhile.", ecu_serial=ecu.serial)
    for name, value in values.items():
        setattr(ecu, name, value)


def _add_images(reports: Sequence[EcuReport], manifest: Manifest) -> None:
    InstalledImage.objects.bulk_create(
        InstalledImage(
            vehicle_id=manifest.vehicle_id,
            ecu_serial=report.serial,
            manifest=manifest,
            target_name=report.target_name,
            sha256=report.sha256,
            length=report.length,
            since=manifest.received_at,
        )
        for report in reports
    )


def _is_changed(report: EcuReport, ecu: Ecu) -> bool:
    return (ecu.installed_target, ecu.installed_sha256) != (report.target_name, report.sha256)


def _keep_refused(vehicle: Vehicle, body: bytes, digest: str, code: str, at: datetime) -> None:
    refused = Manifest.objects.filter(vehicle=vehicle, is_accepted=False, refused_code=code)
    if not refused.filter(sha256=digest).exists():
        kept = list(refused.order_by("-received_at", "-pk").values_list("pk", flat=True)[:REFUSED_KEPT])
        if len(kept) == REFUSED_KEPT:
            Manifest.objects.filter(pk=kept[0]).delete()
        Manifest.objects.create(
            vehicle=vehicle,
            received_at=at,
            sha256=digest,
            body=body[:REFUSED_BYTES_KEPT],
            is_accepted=False,
            refused_code=code,
        )
