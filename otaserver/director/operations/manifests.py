"""Taking in vehicle version manifests (Uptane 5.3.2.1): proof of what runs, or nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from firmware_store.models import Package
from firmware_store.states import PackageState
from firmware_store.trust import primitives
from otaserver.director import findings
from otaserver.director.errors import (
    ManifestForeignEcuError,
    ManifestOtherVehicleError,
    ManifestReplayedError,
    ManifestSignatureInvalidError,
    ManifestWrongPrimaryError,
)
from otaserver.director.manifests import (
    EcuReport,
    ManifestReader,
    ManifestReport,
    Signed,
    VehicleManifest,
    read_reference,
)
from otaserver.director.models import Direction, InstalledImage, Manifest
from otaserver.director.operations.software import NOTHING_KNOWN, known_software
from otaserver.errors import OtaError
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.operations import refresh_configuration

# Enough to see what a refused manifest was; whoever sends rubbish does not choose how much of it is kept.
REFUSED_BYTES_KEPT = 16 * 1024


@dataclass(frozen=True)
class ReceivedManifest:
    """What became of an accepted manifest. `is_new` is false when the vehicle sent its last one again.

    `proved` are the serials of the vehicle's ECUs that it speaks of.
    """

    is_new: bool
    proved: frozenset[str]
    findings: tuple[str, ...]
    report: ManifestReport | None


def receive_manifest(
    vehicle: Vehicle, body: bytes, *, at: datetime, read: ManifestReader = read_reference
) -> ReceivedManifest:
    """Verify and store a manifest that the vehicle sent; write down what its ECUs prove to run.

    The last accepted one sent again, byte for byte, changes nothing and gets the same answer: the vehicle may not have
    heard the first. A refused one is stored too, its body cut to 16 KiB, and the same one only once.

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
    # One manifest at a time per vehicle, so that of two equal ones the second finds the first.
    enrolled_at = Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk).enrolled_at
    manifest = read(body)
    ecus = {ecu.serial: ecu for ecu in vehicle.ecus.order_by("pk")}
    known = [report for report in manifest.ecus if report.serial in ecus]
    proved = frozenset(report.serial for report in known)
    accepted = Manifest.objects.filter(vehicle=vehicle, is_accepted=True).order_by("-received_at", "-pk")
    last = accepted.values_list("sha256", "findings", "received_at").first()
    # One from before the vehicle enrolled again says nothing of the ECUs that it has now.
    if last is not None and last[0] == digest and (enrolled_at is None or last[2] >= enrolled_at):
        return ReceivedManifest(is_new=False, proved=proved, findings=tuple(last[1]), report=manifest.report)
    _verify(manifest, vehicle, ecus)
    found = findings.presence_findings(manifest.ecus, ecus) + _image_findings(known, vehicle, ecus, at)
    stored = Manifest.objects.create(
        vehicle=vehicle, received_at=at, sha256=digest, body=body, is_accepted=True, findings=found
    )
    software = known_software(vehicle.tenant_id, known)
    for report in sorted(known, key=lambda report: ecus[report.serial].pk):
        _write_down(report, ecus[report.serial], stored, at, software.get(report.serial, NOTHING_KNOWN))
    if any(_is_changed(report, ecus[report.serial]) for report in known):
        refresh_configuration(vehicle)
    Vehicle.objects.filter(pk=vehicle.pk).update(confirmed_at=at, is_manifest_wanted=False)
    vehicle.confirmed_at, vehicle.is_manifest_wanted = at, False
    return ReceivedManifest(is_new=True, proved=proved, findings=tuple(found), report=manifest.report)


def _verify(manifest: VehicleManifest, vehicle: Vehicle, ecus: Mapping[str, Ecu]) -> None:
    if manifest.vehicle_id != vehicle.vehicle_id:
        raise ManifestOtherVehicleError(
            f"The manifest is of {manifest.vehicle_id}, and {vehicle.vehicle_id} sent it.",
            vehicle_id=vehicle.vehicle_id,
        )
    primary = ecus.get(manifest.primary_serial)
    if primary is None or not primary.is_primary:
        raise ManifestWrongPrimaryError(
            f"ECU {manifest.primary_serial} is not the Primary of {vehicle}.", ecu_serial=manifest.primary_serial
        )
    _verify_signature(manifest.signed, primary)
    _refuse_foreign([report for report in manifest.ecus if report.serial not in ecus], vehicle)
    for report in manifest.ecus:
        ecu = ecus.get(report.serial)
        if ecu is not None:
            _verify_signature(report.signed, ecu)
            _check_counter(report, ecu)


def _verify_signature(signed: Signed, ecu: Ecu) -> None:
    for one in signed.signatures:
        # An ECU without a key has signed nothing.
        if ecu.keyid and one.keyid == ecu.keyid and primitives.verify(ecu.public_key, one.signature, signed.payload):
            return
    raise ManifestSignatureInvalidError(f"No valid signature of ECU {ecu.serial}'s key.", ecu_serial=ecu.serial)


def _refuse_foreign(unknown: Sequence[EcuReport], vehicle: Vehicle) -> None:
    """Refuse reports of another vehicle's ECUs. An ECU that nobody knows is only a finding."""
    if not unknown:
        return
    elsewhere = Ecu.objects.filter(vehicle__tenant=vehicle.tenant_id).exclude(vehicle=vehicle)
    serials = elsewhere.filter(serial__in=[report.serial for report in unknown]).values_list("serial", flat=True)
    foreign = serials.first()
    if foreign is not None:
        raise ManifestForeignEcuError(f"ECU {foreign} belongs to another vehicle.", ecu_serial=foreign)


def _check_counter(report: EcuReport, ecu: Ecu) -> None:
    if report.counter <= ecu.report_counter:
        raise ManifestReplayedError(
            f"ECU {ecu.serial} reports with counter {report.counter}; its last was {ecu.report_counter}.",
            ecu_serial=ecu.serial,
            report_counter=ecu.report_counter,
        )


def _image_findings(reports: Sequence[EcuReport], vehicle: Vehicle, ecus: Mapping[str, Ecu], at: datetime) -> list[str]:
    names = {report.target_name for report in reports}
    packages = Package.objects.filter(
        tenant=vehicle.tenant_id,
        target_name__in=names,
        state__in=[PackageState.PUBLISHED, PackageState.WITHDRAWN],
    )
    images = {row.target_name: findings.KnownImage(row.sha256, row.length, row.hardware_ids) for row in packages}
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
    ran = set(
        InstalledImage.objects.filter(
            vehicle=vehicle, ecu_serial__in=[report.serial for report in changed]
        ).values_list("ecu_serial", "sha256")
    )
    return [
        findings.unassigned_finding(report)
        for report in changed
        if report.sha256 not in findings.directed_digests(directions, report.serial)
        and (report.serial, report.sha256) not in ran
    ]


def _write_down(report: EcuReport, ecu: Ecu, manifest: Manifest, at: datetime, software: tuple[str, str]) -> None:
    is_changed = _is_changed(report, ecu)
    rows = Ecu.objects.filter(pk=ecu.pk, report_counter=ecu.report_counter)
    if not rows.update(
        report_counter=report.counter,
        installed_target=report.target_name,
        installed_sha256=report.sha256,
        installed_length=report.length,
        installed_name=software[0],
        installed_version=software[1],
        installed_at=at if is_changed else ecu.installed_at,
        is_asserted=False,
    ):
        raise ManifestReplayedError(f"ECU {ecu.serial} has reported meanwhile.", ecu_serial=ecu.serial)
    if is_changed:
        InstalledImage.objects.create(
            vehicle_id=ecu.vehicle_id,
            ecu_serial=ecu.serial,
            manifest=manifest,
            target_name=report.target_name,
            sha256=report.sha256,
            length=report.length,
            since=at,
        )


def _is_changed(report: EcuReport, ecu: Ecu) -> bool:
    return (ecu.installed_target, ecu.installed_sha256) != (report.target_name, report.sha256)


def _keep_refused(vehicle: Vehicle, body: bytes, digest: str, code: str, at: datetime) -> None:
    refused = Manifest.objects.filter(vehicle=vehicle, sha256=digest, is_accepted=False, refused_code=code)
    if not refused.exists():
        Manifest.objects.create(
            vehicle=vehicle,
            received_at=at,
            sha256=digest,
            body=body[:REFUSED_BYTES_KEPT],
            is_accepted=False,
            refused_code=code,
        )
