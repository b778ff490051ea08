"""A vehicle's id, and with it who owned it, is erased wherever it stands; its part in statistics stays."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from otaserver.audit import operations as audit
from otaserver.campaigns.models import (
    Assignment,
    Attempt,
    ConsentRecord,
    LogTail,
    Report,
    SoftwareChange,
    WorkshopCase,
)
from otaserver.campaigns.records import StandingConsent
from otaserver.director.models import Direction, InstalledImage, Manifest, VehicleMetadata
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.lifecycle_models import EcuSwap
from otaserver.fleet.models import AttributeValue, ClaimCode, Ecu, Membership, Vehicle
from otaserver.fleet.protocol_models import ReportedAttribute
from otaserver.fleet.provisioning_models import ProvisioningPermit
from otaserver.fleet.watch_models import SeenRequest
from otaserver.privacy import queries
from otaserver.privacy.errors import ReasonMissingError, VehicleInServiceError
from otaserver.privacy.holdings import HOLDINGS
from otaserver.privacy.operations import mentions
from otaserver.privacy.operations.mentions import Names

# What says who the vehicle is and is good for nothing else once it has ended.
DELETED: tuple[type[Model], ...] = (
    AttributeValue,
    AuthenticationSet,
    Direction,
    EcuSwap,
    LogTail,
    Manifest,
    Membership,
    ProvisioningPermit,
    ReportedAttribute,
    SeenRequest,
    StandingConsent,
    VehicleMetadata,
)
# What stays, with the fields in which the vehicle or one of its ECUs is named. The serials that are keys of an
# attempt's packages are no text, and rewritten apart.
REWRITTEN: Mapping[type[Model], tuple[str, ...]] = {
    Ecu: ("serial",),
    InstalledImage: ("ecu_serial",),
    SoftwareChange: ("ecu_serial",),
    WorkshopCase: ("reason", "note"),
    Assignment: ("message", "verdict_detail"),
    Report: ("ecu_serial", "message", "measured"),
    ConsentRecord: ("recorded_by",),
}


@dataclass(frozen=True)
class Pseudonym:
    """What the vehicle is called from now on, and in how many audit entries something was erased."""

    vehicle_id: str
    entries: int


@transaction.atomic
def pseudonymise_vehicle(vehicle: Vehicle, *, reason: str, by: str, at: datetime) -> Pseudonym:
    """Replace a decommissioned vehicle's id, and its ECUs' serials, by random ones that nothing leads back from.

    What says who it was is deleted: manifests, logs, attributes, requests, who consented. Its part in campaigns stays,
    so that their numbers do. In the audit record its names are erased; the chain still holds, and says so.

    Raises:
        ReasonMissingError: no reason given.
        VehicleInServiceError: it is not decommissioned, and would call by its old id.
    """
    if not reason.strip():
        raise ReasonMissingError("Erasing who a vehicle is needs a reason, in a sentence.")
    locked = Vehicle.objects.select_for_update().get(pk=vehicle.pk)
    if locked.decommissioned_at is None:
        raise VehicleInServiceError(
            f"Vehicle {locked} is in service; decommission it first.", vehicle_id=locked.vehicle_id
        )
    known = _new_names(locked)
    names = Names(locked, known, others=queries.ids_with(locked))
    said = names.within(reason.strip())
    _delete(locked)
    for model, fields in REWRITTEN.items():
        mentions.rewrite(_of(model, locked), fields, names.within)
    _rewrite_packages(locked, known)
    mentions.rewrite_mentions(names)
    vehicle.vehicle_id = known[locked.vehicle_id]
    Vehicle.objects.filter(pk=locked.pk).update(
        vehicle_id=vehicle.vehicle_id, blocked_reason=names.within(locked.blocked_reason)
    )
    entries = audit.erase(
        locked.tenant, locked.vehicle_id, names.erased, reason=f"{vehicle.vehicle_id}: {said}", by=by, at=at
    )
    audit.record("vehicle.pseudonymised", vehicle, tenant=locked.tenant, by=by, at=at, reason=said, entries=entries)
    return Pseudonym(vehicle.vehicle_id, entries)


def _new_names(vehicle: Vehicle) -> dict[str, str]:
    """Return a new name for the vehicle's id and for every serial that an ECU of it ever had."""
    pseudonym = f"erased-{secrets.token_hex(8)}"
    serials: set[str] = set()
    for model, field in ((Ecu, "serial"), (InstalledImage, "ecu_serial"), (SoftwareChange, "ecu_serial")):
        serials |= set(_of(model, vehicle).values_list(field, flat=True))
    for swap in EcuSwap.objects.filter(vehicle=vehicle):
        serials |= {swap.old_serial, swap.new_serial}
    found = {serial: f"{pseudonym}-{number}" for number, serial in enumerate(sorted(serials - {""}), 1)}
    return found | {vehicle.vehicle_id: pseudonym}


def _delete(vehicle: Vehicle) -> None:
    InstalledImage.objects.filter(vehicle=vehicle).update(manifest=None)
    for model in DELETED:
        _of(model, vehicle).delete()
    ClaimCode.objects.filter(tenant=vehicle.tenant, vehicle_id=vehicle.vehicle_id).delete()
    unclaimed = AuthenticationSet.objects.filter(tenant=vehicle.tenant, vehicle=None)
    unclaimed.filter(claimed_vehicle_id=vehicle.vehicle_id).delete()
    ConsentRecord.objects.filter(assignment__vehicle=vehicle).update(by="erased")


def _rewrite_packages(vehicle: Vehicle, known: Mapping[str, str]) -> None:
    """Rename the ECUs by whose serials an attempt tells what each was to install."""
    for attempt in Attempt.objects.filter(vehicle=vehicle).only("packages"):
        packages = {known.get(serial, serial): package for serial, package in attempt.packages.items()}
        Attempt.objects.filter(pk=attempt.pk).update(packages=packages)


def _of(model: type[Model], vehicle: Vehicle) -> QuerySet[Any]:
    return model._default_manager.filter(**{HOLDINGS[model]: vehicle})
