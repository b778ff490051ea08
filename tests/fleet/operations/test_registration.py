from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet import operations
from otaserver.fleet.errors import (
    EcuChangeRefusedError,
    EcuKeyRefusedError,
    EcuSerialTakenError,
    EcusRefusedError,
)
from otaserver.fleet.lifecycle_models import EcuSwap
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.fleet.operations import Registration
from otaserver.fleet.provisioning_models import ProvisioningPermit
from otaserver.fleet.states import Protocol
from tests.factories import NOON, make_tenant, make_vehicle
from tests.fleet.enrolments import make_ecu, make_key

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(days=1)


@pytest.fixture
def vehicle():
    return Vehicle.objects.create(tenant=make_tenant(), vehicle_id="VIN1", created_at=NOON)


def register(vehicle, *ecus, at=NOON):
    return operations.register_ecus(vehicle, ecus, protocol=Protocol.AKTUALIZR, at=at)


def announce(vehicle, old, new=""):
    operations.announce_ecu_swap(vehicle, old_serial=old, new_serial=new, reason="Crash.", by="alice", at=NOON)


def permit(vehicle):
    operations.permit_provisioning(vehicle, reason="A second brake was added.", by="alice", at=NOON)


def serials():
    return sorted(Ecu.objects.values_list("serial", flat=True))


def test_the_first_registration_enrols_the_vehicle_without_a_record(vehicle):
    assert register(vehicle, make_ecu("P1"), make_ecu("S1", "engine")) == Registration(is_first=True, is_changed=True)

    stored = Vehicle.objects.get()
    assert (stored.enrolled_at, stored.protocol, stored.is_manifest_wanted) == (NOON, "aktualizr", True)
    assert stored.configuration.ecus == [["engine", "", ""], ["gateway", "", ""]]
    assert serials() == ["P1", "S1"]
    assert not Entry.objects.exists()


def test_declaring_what_it_has_changes_nothing(vehicle):
    ecus = make_ecu("P1"), make_ecu("S1", "engine")
    register(vehicle, *ecus)

    assert register(vehicle, *ecus, at=LATER) == Registration(is_first=False, is_changed=False)

    assert Vehicle.objects.get().enrolled_at == NOON
    assert not Entry.objects.exists()


def test_an_announced_ecu_is_recorded_and_the_others_keep_what_they_proved(vehicle):
    primary = make_ecu("P1")
    register(vehicle, primary, make_ecu("S1", "engine"))
    Ecu.objects.update(report_counter=7, installed_target="t", installed_sha256="aa")
    announce(vehicle, "S1", "S2")

    assert register(vehicle, primary, make_ecu("S2", "engine"), at=LATER).is_changed

    rows = Ecu.objects.order_by("serial").values_list("serial", "report_counter", "installed_target")
    assert list(rows) == [("P1", 7, "t"), ("S2", 0, "")]
    entry = Entry.objects.get(action="vehicle.ecus_replaced")
    assert entry.actor == "vehicle"
    assert entry.details == {"before": ["P1", "S1"], "after": ["P1", "S2"], "new_keys": []}
    assert EcuSwap.objects.get().done_at == LATER
    assert Vehicle.objects.get().enrolled_at == LATER


def test_an_announced_new_key_under_an_old_serial_is_recorded_and_proves_nothing(vehicle):
    register(vehicle, make_ecu("P1"))
    Ecu.objects.update(report_counter=7, installed_target="t", installed_sha256="aa")
    announce(vehicle, "P1", "P1")

    register(vehicle, make_ecu("P1"), at=LATER)

    assert list(Ecu.objects.values_list("report_counter", "installed_target")) == [(0, "")]
    assert Entry.objects.get(action="vehicle.ecus_replaced").details["new_keys"] == ["P1"]


@pytest.mark.parametrize(
    "others",
    [
        lambda primary: (primary, make_ecu("S2", "engine")),
        lambda primary: (primary, make_ecu("S1", "engine")),
        lambda primary: (make_ecu("P1"), make_ecu("S1", "engine")),
        lambda primary: (primary,),
        lambda primary: (primary, make_ecu("S1", "engine"), make_ecu("S2", "brake")),
    ],
)
def test_what_nobody_announced_is_refused_and_nothing_changes(vehicle, others):
    primary = make_ecu("P1")
    register(vehicle, primary, make_ecu("S1", "engine"))
    before = list(Ecu.objects.order_by("pk").values())

    with pytest.raises(EcuChangeRefusedError):
        register(vehicle, *others(primary), at=LATER)

    assert list(Ecu.objects.order_by("pk").values()) == before
    assert Vehicle.objects.get().enrolled_at == NOON
    assert not Entry.objects.exists()


def test_a_permit_covers_any_change_once(vehicle):
    primary = make_ecu("P1")
    register(vehicle, primary)
    permit(vehicle)

    assert register(vehicle, primary, make_ecu("S1", "engine"), at=LATER).is_changed

    assert serials() == ["P1", "S1"]
    with pytest.raises(EcuChangeRefusedError):
        register(vehicle, primary, at=LATER)


def test_a_permit_that_a_reset_vehicle_did_not_need_for_its_ecus_is_used_up(vehicle):
    primary = make_ecu("P1")
    register(vehicle, primary)
    permit(vehicle)
    ProvisioningPermit.objects.update(provisioned_at=NOON)

    assert not register(vehicle, primary, at=LATER).is_changed

    with pytest.raises(EcuChangeRefusedError):
        register(vehicle, make_ecu("P1"), at=LATER)


def test_an_ecu_of_another_vehicle_is_refused_and_nothing_changes(vehicle):
    register(vehicle, make_ecu("P1"))
    make_vehicle(vehicle.tenant, "VIN2")

    permit(vehicle)
    with pytest.raises(EcuSerialTakenError):
        register(vehicle, make_ecu("P1"), make_ecu("VIN2-0"), at=LATER)

    assert serials() == ["P1", "VIN2-0"]
    assert Vehicle.objects.get(vehicle_id="VIN1").enrolled_at == NOON


def test_another_tenants_vehicle_may_have_the_same_serial(vehicle):
    make_vehicle(make_tenant(), "VIN2")

    assert register(vehicle, make_ecu("VIN2-0", is_primary=True)).is_first


@pytest.mark.parametrize(
    ("ecus", "error"),
    [
        ((), EcusRefusedError),
        ((make_ecu("S1"), make_ecu("S2")), EcusRefusedError),
        ((make_ecu("P1"), make_ecu("P1", is_primary=False)), EcusRefusedError),
        ((make_ecu("P1", key={"keytype": "ecdsa", "scheme": "x", "keyval": {"public": "y"}}),), EcuKeyRefusedError),
    ],
)
def test_what_can_be_no_vehicles_ecus_is_refused_and_nothing_changes(vehicle, ecus, error):
    with pytest.raises(error):
        register(vehicle, *ecus)

    assert serials() == []
    assert Vehicle.objects.get().enrolled_at is None


def test_one_key_for_two_ecus_is_refused(vehicle):
    key = make_key()

    with pytest.raises(EcusRefusedError):
        register(vehicle, make_ecu("P1", key=key), make_ecu("S1", key=key))

    assert serials() == []


def test_of_two_vehicles_that_register_one_serial_at_once_one_gets_it(at_once):
    tenant = make_tenant()
    vehicles = [Vehicle.objects.create(tenant=tenant, vehicle_id=f"VIN{n}", created_at=NOON) for n in (1, 2)]

    results = at_once(*[lambda one=one: register(one, make_ecu("P1")) for one in vehicles])

    assert sorted(type(result).__name__ for result in results) == ["EcuSerialTakenError", "Registration"]
    assert Ecu.objects.count() == 1
