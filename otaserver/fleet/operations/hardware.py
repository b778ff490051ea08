from datetime import datetime

from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations.keyless import KeylessEcu, declare_vehicle
from otaserver.fleet.states import Protocol


def declare_hardware(vehicle: Vehicle, hardware_id: str, *, at: datetime) -> None:
    """Take a vehicle's word for what its one ECU, which is without a key, is; said again, it costs one read.

    The ECU keeps the serial that it is known by, from an import perhaps; else it is called like the vehicle: its client
    knows no other name. With other hardware, what it ran is forgotten.

    Raises:
        EcusRefusedError: that cannot be a hardware id.
        EcuSerialTakenError: another vehicle of the tenant has an ECU that is called so.
    """
    held = list(vehicle.ecus.values_list("serial", "hardware_id"))
    serial = held[0][0] if len(held) == 1 else vehicle.vehicle_id
    if held == [(serial, hardware_id)]:
        return
    ecus = [KeylessEcu(serial, hardware_id)]
    declare_vehicle(vehicle.tenant, vehicle.vehicle_id, protocol=Protocol(vehicle.protocol), ecus=ecus, at=at)
