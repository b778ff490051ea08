"""Vehicles that speak hawkBit's DDI: how a tenant reads them, and how they become known."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.fleet import ddi_rules, queries, rules
from otaserver.fleet.errors import DdiSettingsRefusedError, VehicleOtherProtocolError
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations.inventory import record_inventory
from otaserver.fleet.operations.keyless import KeylessEcu, declare_vehicle
from otaserver.fleet.protocol_models import DdiSettings
from otaserver.fleet.states import InventoryMode, Protocol
from otaserver.tenants.models import Tenant


@transaction.atomic
def change_ddi_settings(tenant: Tenant, changes: Mapping[str, Any], *, by: str, at: datetime) -> DdiSettings:
    """Change how a tenant's DDI vehicles are read; what is not named stays as it is.

    Raises:
        DdiSettingsRefusedError: a value is out of its form.
    """
    problem = ddi_rules.settings_problem(changes)
    if problem:
        raise DdiSettingsRefusedError(problem)
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    row, _ = DdiSettings.objects.update_or_create(tenant=tenant, defaults=dict(changes))
    audit.record("ddi_settings.changed", tenant, tenant=tenant, by=by, at=at, **changes)
    return row


def register_controller(tenant: Tenant, vehicle_id: str, *, at: datetime) -> Vehicle:
    """Return the DDI vehicle of this id, made known now if it was not (hawkBit's plug and play).

    One that registers itself is one ECU of the tenant's default hardware. The caller knows who vouches for it.

    Raises:
        VehicleIdRefusedError: no vehicle can have that id.
        VehicleOtherProtocolError: the tenant has a vehicle of this id that speaks another protocol.
    """
    known = Vehicle.objects.of(tenant).select_related("tenant").filter(vehicle_id=vehicle_id).first()
    if known is None or known.enrolled_at is None:
        ecu = KeylessEcu(vehicle_id, queries.ddi_settings(tenant).default_hardware_id)
        return declare_vehicle(tenant, vehicle_id, protocol=Protocol.DDI, ecus=[ecu], at=at)
    if known.protocol != Protocol.DDI:
        raise VehicleOtherProtocolError(f"{known} speaks {known.get_protocol_display()}.", vehicle_id=vehicle_id)
    return known


@transaction.atomic
def record_config_data(
    vehicle: Vehicle, attributes: Mapping[str, str | None], *, mode: InventoryMode, at: datetime
) -> str | None:
    """Keep what a DDI vehicle says of itself; return the version that it says to run, if its tenant reads one.

    Where the tenant reads the hardware id from an attribute, a vehicle of one ECU gets it; of several an operator says
    what they are.

    Raises:
        InventoryRefusedError, InventoryTooLargeError: as in `record_inventory`.
    """
    record_inventory(vehicle, attributes=attributes, mode=mode, at=at)
    settings = queries.ddi_settings(vehicle.tenant)
    said = dict(vehicle.reported_attributes.values_list("name", "text"))
    hardware_id = said.get(settings.hardware_attribute, "")
    serials = list(vehicle.ecus.values_list("serial", flat=True))
    if rules.is_ecu_word(hardware_id) and len(serials) == 1:
        ecu = KeylessEcu(serials[0], hardware_id)
        declare_vehicle(vehicle.tenant, vehicle.vehicle_id, protocol=Protocol.DDI, ecus=[ecu], at=at)
    return said.get(settings.version_attribute) if settings.version_attribute else None
