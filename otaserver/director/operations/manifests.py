"""Taking in vehicle version manifests (Uptane 5.3.2.1): proof of what runs, or nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from firmware_store.models import Package
from firmware_store.states import PackageState
from firmware_store.trust import primitives
from otaserver.director import findings, statements
from otaserver.director.aktualizr_manifests import own_keyids
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
    # One manifest at a time per vehicle, so that of two equal ones the second finds the first.
    enrolled_at = Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk).enrolled_at
    manifest = read(body)
    ecus = {ecu.serial: ecu for ecu in vehicle.ecus.order_by("pk")}
    known = [report for report in manifest.ecus if report.serial in ecus]
    reported = frozenset(report.serial for report in known)
    accepted = Manifest.objects.filter(vehicle=vehicle, is_accepted=True).order_by("-received_at", "-pk")
    # One from before the vehicle enrolled again says nothing of the ECUs that it has now.
    since = accepted if enrolled_at is None else accepted.filter(received_at__gte=enrolled_at)
    recent = list(since.defer("body")[:2])
    if recent and recent[0].sha256 == digest:
        noted = recent[0].findings
        proved = frozenset(serial for serial in reported if findings.resent_finding(serial) not in noted)
        return ReceivedManifest(is_new=False, proved=proved, findings=tuple(noted), report=manifest.report)
    _verify(manifest, vehicle, ecus)
    resent = _resent(known, accepted, ecus, read)
    found = [*manifest.quirks, *_keyid_findings(manifest, ecus), *map(findings.resent_finding, sorted(resent))]
    found += findings.presence_findings(manifest.ecus, ecus) + _image_findings(known, vehicle, ecus, at)
    said = statements.said_sha256(manifest, found)
    stored = Manifest.objects.create(
        vehicle=vehicle, received_at=at, sha256=digest, body=body, is_accepted=True, findings=found, said_sha256=said
    )
    software = known_software(vehicle.tenant_id, known)
    for report in sorted(known, key=lambda report: ecus[report.serial].pk):
        _write_down(report, ecus[report.serial], stored, at, software.get(report.serial, NOTHING_KNOWN))
    if any(_is_changed(report, ecus[report.serial]) for report in known):
        refresh_configuration(vehicle)
    if said and [one.said_sha256 for one in recent] == [said, said]:
        # The first of a run is what images are shown by; this one is in the middle.
        Manifest.objects.filter(pk=recent[0].pk, installed_images=None).delete()
    Vehicle.objects.filter(pk=vehicle.pk).update(confirmed_at=at, is_manifest_wanted=False)
    vehicle.confirmed_at, vehicle.is_manifest_wanted = at, False
    return ReceivedManifest(is_new=True, proved=reported - resent, findings=tuple(found), report=manifest.report)


def _resent(
    reports: Sequence[EcuReport], accepted: QuerySet[Manifest], ecus: Mapping[str, Ecu], read: ManifestReader
) -> frozenset[str]:
    randomised = {serial for serial, ecu in ecus.items() if ecu.public_key.get("keytype") == "rsa"}
    if not any(report.counter is None and report.serial in randomised for report in reports):
        return frozenset()
    last = accepted.values_list("body", flat=True).first()
    try:
        before = read(bytes(last)).ecus if last is not None else []
    except OtaError:
        # In the form of the protocol that the vehicle spoke before.
        before = []
    return findings.resent_reports(reports, before, randomised)


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


def _verify(manifest: VehicleManifest, vehicle: Vehicle, ecus: Mapping[str, Ecu]) -> None:
    if manifest.vehicle_id is not None and manifest.vehicle_id != vehicle.vehicle_id:
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
        is_named = signed.names_keys_itself or one.keyid == ecu.keyid
        # An ECU without a key has signed nothing.
        if ecu.keyid and is_named and primitives.verify(ecu.public_key, one.signature, signed.payload):
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
    if report.counter is None and ecu.report_counter == 0:
        return
    # Who has ever counted goes on counting.
    if report.counter is None or report.counter <= ecu.report_counter:
        raise ManifestReplayedError(
            f"ECU {ecu.serial} reports with counter {report.counter or 'none'}; its last was {ecu.report_counter}.",
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
        report_counter=ecu.report_counter if report.counter is None else report.counter,
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
