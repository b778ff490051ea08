"""A vehicle's id, and with it who owned it, is erased wherever it stands; its part in statistics stays."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import JSONField, Model, Q, QuerySet, TextField
from django.db.models.functions import Cast

from otaserver.audit import operations as audit
from otaserver.campaigns.models import (
    Assignment,
    Attempt,
    ConsentRecord,
    Decision,
    LogTail,
    Report,
    SoftwareChange,
    WorkshopCase,
)
from otaserver.campaigns.records import StandingConsent
from otaserver.director.models import Direction, InstalledImage, Manifest, VehicleMetadata
from otaserver.events.models import Event
from otaserver.fleet.arrival_models import FleetImportProblem
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.lifecycle_models import EcuSwap
from otaserver.fleet.models import AttributeValue, ClaimCode, Ecu, Membership, Vehicle
from otaserver.fleet.protocol_models import ReportedAttribute
from otaserver.fleet.provisioning_models import ProvisioningPermit
from otaserver.fleet.watch_models import SeenRequest
from otaserver.privacy import rules
from otaserver.privacy.errors import ReasonMissingError, VehicleInServiceError
from otaserver.privacy.holdings import HOLDINGS
from otaserver.tenants.answer_models import KeptAnswer

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
# What stays, with the fields in which the vehicle or one of its ECUs is named.
REWRITTEN: Mapping[type[Model], tuple[str, ...]] = {
    Ecu: ("serial",),
    InstalledImage: ("ecu_serial",),
    SoftwareChange: ("ecu_serial",),
    WorkshopCase: ("reason", "note"),
    Assignment: ("message", "verdict_detail"),
    Attempt: ("packages",),
    Report: ("ecu_serial", "message", "measured"),
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
    replaced = rules.replacer(known)
    _delete(locked)
    _rewrite_all(locked, replaced)
    _rewrite_decisions(locked, replaced)
    _rewrite_events(locked, known, replaced)
    _forget_mentions(locked)
    vehicle.vehicle_id = known[locked.vehicle_id]
    Vehicle.objects.filter(pk=locked.pk).update(
        vehicle_id=vehicle.vehicle_id, blocked_reason=replaced(locked.blocked_reason)
    )
    entries = audit.erase(
        locked.tenant, known, replaced, reason=f"{vehicle.vehicle_id}: {replaced(reason.strip())}", by=by, at=at
    )
    details = {"reason": replaced(reason.strip()), "entries": entries}
    audit.record("vehicle.pseudonymised", vehicle, tenant=locked.tenant, by=by, at=at, **details)
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


def _rewrite_all(vehicle: Vehicle, replaced: Callable[[str], str]) -> None:
    for model, fields in REWRITTEN.items():
        _rewrite(_of(model, vehicle), fields, replaced)


def _rewrite_decisions(vehicle: Vehicle, replaced: Callable[[str], str]) -> None:
    rows = Decision.objects.filter(campaign__assignments__vehicle=vehicle)
    _rewrite(rows.filter(sentence__contains=vehicle.vehicle_id), ("sentence", "inputs"), replaced)


def _rewrite_events(vehicle: Vehicle, names: Iterable[str], replaced: Callable[[str], str]) -> None:
    rows = Event.objects.filter(tenant=vehicle.tenant).annotate(told=Cast("data", TextField()))
    named = Q()
    for name in names:
        named |= Q(subject__contains=name) | Q(told__contains=name)
    _rewrite(rows.filter(named), ("subject", "data"), replaced)


def _rewrite(rows: QuerySet[Any], fields: tuple[str, ...], replaced: Callable[[str], str]) -> None:
    for row in rows:
        changes = {}
        for name in fields:
            value = getattr(row, name)
            is_json = isinstance(row._meta.get_field(name), JSONField)
            new = json.loads(replaced(json.dumps(value))) if is_json else replaced(value)
            if new != value:
                changes[name] = new
        if changes:
            rows.model.objects.filter(pk=row.pk).update(**changes)


def _forget_mentions(vehicle: Vehicle) -> None:
    """Empty what the tenant keeps for a while and may name the vehicle: lines of files, answers to requests."""
    problems = FleetImportProblem.objects.filter(fleet_import__tenant=vehicle.tenant)
    problems.filter(value__contains=vehicle.vehicle_id).update(value="")
    wanted = vehicle.vehicle_id.encode()
    answers = KeptAnswer.objects.filter(tenant=vehicle.tenant).exclude(status=None).only("body")
    KeptAnswer.objects.filter(pk__in=[row.pk for row in answers if wanted in bytes(row.body)]).delete()


def _of(model: type[Model], vehicle: Vehicle) -> QuerySet[Any]:
    return model._default_manager.filter(**{HOLDINGS[model]: vehicle})
