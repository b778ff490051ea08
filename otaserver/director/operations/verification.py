"""Whether a manifest is the vehicle's own, and new (Uptane 5.3.2.1): signatures, whose ECUs it speaks of, counters."""

from collections.abc import Mapping, Sequence

from firmware_store.trust import primitives
from otaserver.director.errors import (
    ManifestForeignEcuError,
    ManifestOtherVehicleError,
    ManifestReplayedError,
    ManifestSignatureInvalidError,
    ManifestWrongPrimaryError,
)
from otaserver.director.manifests import EcuReport, Signed, VehicleManifest
from otaserver.fleet.models import Ecu, Vehicle


def verify(manifest: VehicleManifest, vehicle: Vehicle, ecus: Mapping[str, Ecu]) -> None:
    """Refuse a manifest that these ECUs of the vehicle have not signed, or that says again what was said before.

    Raises:
        ManifestOtherVehicleError, ManifestWrongPrimaryError, ManifestSignatureInvalidError, ManifestForeignEcuError,
        ManifestReplayedError: as they say.
    """
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
