import pytest

from otaserver.fleet.errors import (
    EcuSerialTakenError,
    EcusRefusedError,
    VehicleIdRefusedError,
    VehicleOtherProtocolError,
)
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.operations import KeylessEcu, create_vehicles, declare_vehicle
from otaserver.fleet.states import Protocol
from tests.factories import NOON, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db
BOARD = KeylessEcu("dev1", "board")


def declare(tenant, *ecus, vehicle_id="dev1", protocol=Protocol.DDI):
    return declare_vehicle(tenant, vehicle_id, protocol=protocol, ecus=ecus or (BOARD,), at=NOON)


def ecus(vehicle):
    return list(vehicle.ecus.order_by("pk").values_list("serial", "hardware_id", "is_primary", "keyid"))


def test_a_declared_vehicle_is_enrolled_with_ecus_that_have_no_key():
    vehicle = declare(make_tenant(), BOARD, KeylessEcu("mcu", "sensor"))

    assert (vehicle.protocol, vehicle.enrolled_at, vehicle.is_manifest_wanted) == ("ddi", NOON, True)
    assert ecus(vehicle) == [("dev1", "board", True, ""), ("mcu", "sensor", False, "")]
    assert Vehicle.objects.get().configuration.ecus == [["board", "", ""], ["sensor", "", ""]]


def test_declared_again_nothing_changes_and_what_it_runs_stays_with_the_same_ecu():
    tenant = make_tenant()
    Ecu.objects.filter(vehicle=declare(tenant)).update(installed_sha256="ab", is_asserted=True)
    before = Ecu.objects.get().pk

    declare(tenant)
    assert Ecu.objects.get().pk == before
    declare(tenant, BOARD, KeylessEcu("mcu", "sensor"))

    assert Ecu.objects.get(serial="dev1").installed_sha256 == "ab"
    assert Vehicle.objects.get().configuration.ecus == [["board", "", "ab"], ["sensor", "", ""]]


def test_other_hardware_under_the_same_serial_runs_nothing_known():
    tenant = make_tenant()
    Ecu.objects.filter(vehicle=declare(tenant)).update(installed_sha256="ab")

    declare(tenant, KeylessEcu("dev1", "board-v2"))

    assert Ecu.objects.get().installed_sha256 == ""


def test_a_vehicle_that_was_only_expected_becomes_one_of_the_protocol():
    tenant = make_tenant()
    create_vehicles(tenant, ["dev1"], at=NOON)

    assert declare(tenant).protocol == Protocol.DDI
    assert Vehicle.objects.count() == 1


def test_one_that_enrolled_with_keys_keeps_them():
    vehicle = make_vehicle(vehicle_id="dev1")
    before = ecus(vehicle)

    with pytest.raises(VehicleOtherProtocolError):
        declare(vehicle.tenant)

    assert ecus(vehicle) == before
    assert Vehicle.objects.get().protocol == Protocol.UPTANE


def test_a_serial_of_another_vehicle_is_refused():
    tenant = make_tenant()
    declare(tenant)

    with pytest.raises(EcuSerialTakenError):
        declare(tenant, BOARD, vehicle_id="dev2")

    assert Vehicle.objects.count() == 1


@pytest.mark.parametrize("parts", [(), (KeylessEcu("a b", "x"),), (BOARD, BOARD), (KeylessEcu("x", ""),)])
def test_malformed_ecus_are_refused(parts):
    with pytest.raises(EcusRefusedError):
        declare_vehicle(make_tenant(), "dev1", protocol=Protocol.DDI, ecus=parts, at=NOON)

    assert not Vehicle.objects.exists()


def test_an_id_that_no_vehicle_can_have_is_refused():
    with pytest.raises(VehicleIdRefusedError):
        declare(make_tenant(), vehicle_id="../dev1")
