from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet import operations
from otaserver.fleet.errors import (
    ClaimInvalidError,
    ClaimUsedError,
    EcuChangeRefusedError,
    EcuSerialTakenError,
    EcusRefusedError,
    EcuUnknownError,
    ReasonMissingError,
)
from otaserver.fleet.lifecycle_models import EcuSwap
from otaserver.fleet.models import Credential, Ecu, Vehicle
from tests.factories import NOON, make_tenant
from tests.fleet.enrolments import ADDRESS, enrol, make_ecu

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(days=1)


@pytest.fixture
def gate():
    return make_ecu("P-GATE")


@pytest.fixture
def brake():
    return make_ecu("BRAKE", "brake")


@pytest.fixture
def car(gate, brake):
    vehicle = enrol(make_tenant(), "VIN1", gate, brake).vehicle
    Ecu.objects.filter(serial="P-GATE").update(report_counter=7, installed_target="supplier/gateway-1.0")
    Vehicle.objects.update(confirmed_at=NOON, is_manifest_wanted=False)
    return vehicle


def announce(car, **more):
    return operations.announce_ecu_swap(
        car, **{"old_serial": "BRAKE", "reason": "Crash.", "by": "ann", "at": NOON} | more
    )


def declare(car, *ecus, code=None, at=LATER):
    return operations.declare_ecus(car, ecus, claim_code=code, address=ADDRESS, at=at)


def serials():
    return sorted(Ecu.objects.values_list("serial", flat=True))


def test_an_announced_ecu_takes_the_place_of_the_old_one_and_nothing_else_changes(car, gate):
    announce(car)
    before = list(Credential.objects.values())

    assert declare(car, gate, make_ecu("BRAKE-2", "brake")) is True

    assert serials() == ["BRAKE-2", "P-GATE"]
    kept = Ecu.objects.get(serial="P-GATE")
    assert (kept.report_counter, kept.installed_target) == (7, "supplier/gateway-1.0")
    assert list(Credential.objects.values()) == before
    assert EcuSwap.objects.get().done_at == LATER
    car.refresh_from_db()
    assert (car.enrolled_at, car.confirmed_at, car.is_manifest_wanted) == (LATER, None, True)
    assert car.configuration.ecus == [["brake", "", ""], ["gateway", "supplier/gateway-1.0", ""]]
    entry = Entry.objects.order_by("-pk").first()
    assert (entry.action, entry.actor) == ("vehicle.ecus_declared", "vehicle")
    assert entry.details == {"gone": ["BRAKE"], "new": ["BRAKE-2"], "by_claim_code": False}


def test_declaring_what_it_has_changes_nothing_and_uses_no_code(car, gate, brake):
    code = operations.create_claim_code(car.tenant, "VIN1", at=NOON)

    assert declare(car, gate, brake, code=code) is False

    car.refresh_from_db()
    assert (car.confirmed_at, Entry.objects.count()) == (NOON, 0)
    assert declare(car, gate, code=code) is True


def test_a_new_key_of_the_same_ecu_begins_its_reports_anew(car, brake):
    announce(car, old_serial="P-GATE", new_serial="P-GATE")

    assert declare(car, make_ecu("P-GATE"), brake) is True

    assert Ecu.objects.get(serial="P-GATE").report_counter == 0


@pytest.mark.parametrize("at", [NOON + timedelta(days=14), NOON + timedelta(days=400)])
def test_an_announcement_ends(car, gate, at):
    announce(car)

    with pytest.raises(EcuChangeRefusedError, match="BRAKE would be replaced"):
        declare(car, gate, make_ecu("BRAKE-2", "brake"), at=at)

    assert serials() == ["BRAKE", "P-GATE"]


def test_an_announcement_serves_once(car, gate):
    announce(car)
    declare(car, gate, make_ecu("BRAKE-2", "brake"))

    with pytest.raises(EcuChangeRefusedError):
        declare(car, gate, make_ecu("BRAKE-3", "brake"))

    assert serials() == ["BRAKE-2", "P-GATE"]


def test_a_later_announcement_takes_the_place_of_an_earlier_one(car, gate):
    announce(car, new_serial="BRAKE-2")
    announce(car, new_serial="BRAKE-3")

    with pytest.raises(EcuChangeRefusedError, match="does not fit"):
        declare(car, gate, make_ecu("BRAKE-2", "brake"))

    assert declare(car, gate, make_ecu("BRAKE-3", "brake")) is True
    assert EcuSwap.objects.count() == 1


def test_a_claim_code_covers_any_change_once(car, gate):
    code = operations.create_claim_code(car.tenant, "VIN1", at=NOON)

    assert declare(car, gate, make_ecu("RADIO", "radio"), make_ecu("SEAT", "seat"), code=code) is True

    assert serials() == ["P-GATE", "RADIO", "SEAT"]
    assert Entry.objects.order_by("-pk").first().details["by_claim_code"] is True
    with pytest.raises(ClaimUsedError):
        declare(car, gate, code=code)
    assert serials() == ["P-GATE", "RADIO", "SEAT"]


def test_another_vehicles_claim_code_is_none(car, gate):
    code = operations.create_claim_code(car.tenant, "VIN2", at=NOON)

    with pytest.raises(ClaimInvalidError):
        declare(car, gate, code=code)

    assert serials() == ["BRAKE", "P-GATE"]


def test_an_ecu_of_another_vehicle_is_refused_and_the_announcement_stays(car, gate):
    enrol(car.tenant, "VIN2", make_ecu("P-2"), make_ecu("BRAKE-2", "brake"))
    announce(car)

    with pytest.raises(EcuSerialTakenError):
        declare(car, gate, make_ecu("BRAKE-2", "brake"))

    assert EcuSwap.objects.get().done_at is None
    assert sorted(car.ecus.values_list("serial", flat=True)) == ["BRAKE", "P-GATE"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"reason": " "}, ReasonMissingError),
        ({"old_serial": "NOBODY"}, EcuUnknownError),
        ({"new_serial": "two words"}, EcusRefusedError),
        ({"hardware_id": "two words"}, EcusRefusedError),
    ],
)
def test_an_announcement_that_cannot_be_is_refused(car, changes, error):
    with pytest.raises(error):
        announce(car, **changes)

    assert (EcuSwap.objects.count(), Entry.objects.count()) == (0, 0)


def test_of_two_declarations_at_once_one_is_new(at_once):
    gate = make_ecu("P-GATE")
    car = enrol(make_tenant(), "VIN1", gate, make_ecu("BRAKE", "brake")).vehicle
    announce(car)
    new = make_ecu("BRAKE-2", "brake")

    results = at_once(*[lambda: declare(car, gate, new)] * 2)

    assert sorted(results) == [False, True]
    assert serials() == ["BRAKE-2", "P-GATE"]
