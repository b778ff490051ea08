from datetime import timedelta

import pytest

from otaserver.fleet import operations, queries
from otaserver.fleet.errors import FilterUnknownFieldError, FilterUnknownGroupError, FilterWrongTypeError
from otaserver.fleet.models import Ecu
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = [pytest.mark.django_db, pytest.mark.every_case]


@pytest.fixture
def tenant():
    """Three vehicles A, B, C; and a second tenant with vehicles of the same ids, of which nothing may ever be found."""
    first, second = make_tenant("first"), make_tenant("second")
    for tenant in (first, second):
        for name, type_ in (("region", "text"), ("mileage", "number"), ("electric", "boolean"), ("built", "time")):
            operations.declare_attribute(tenant, name=name, type=type_, by="alice", at=NOON)
        a = make_vehicle(tenant, "A", hardware=("gw-1", "engine"), last_contact_at=NOON, time_zone="Europe/Berlin")
        b = make_vehicle(tenant, "B", hardware=("gw-2", "engine"), blocked_at=NOON, confirmed_at=NOON)
        make_vehicle(tenant, "C", hardware=("gw-1",), last_contact_at=NOON - timedelta(days=30))
        Ecu.objects.filter(vehicle=a, hardware_id="engine").update(installed_target="s/engine-1.0")
        Ecu.objects.filter(vehicle=b, is_primary=True).update(installed_target="s/engine-1.0")
        operations.set_attributes(a, {"region": "EU", "mileage": 10, "electric": True, "built": "2020-01-01"}, at=NOON)
        operations.set_attributes(b, {"region": "US", "mileage": -0.5, "electric": False}, at=NOON)
        make_group(tenant, a, b, name="pilot")
        make_group(tenant, name="empty")
    operations.declare_attribute(second, name="secret", type="text", by="alice", at=NOON)
    operations.set_attributes(a, {"secret": "x"}, at=NOON)
    make_group(second, a, name="secret")
    operations.create_group(first, name="moving", filter="blocked = False", by="alice", at=NOON)
    return first


def matching(tenant, text):
    found = queries.vehicles_matching(tenant, text).order_by("vehicle_id")
    assert {vehicle.tenant_id for vehicle in found} <= {tenant.pk}
    return "".join(vehicle.vehicle_id for vehicle in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('vehicle_id = "A"', "A"),
        ('vehicle_id = "a"', ""),
        ('vehicle_id != "A"', "BC"),
        ('vehicle_id in ("A", "C", "D")', "AC"),
        ('vehicle_id not in ("A", "C", "D")', "B"),
        ('vehicle_id ~ "a"', "A"),
        ('vehicle_id !~ "a"', "BC"),
        ('time_zone startswith "europe/"', "A"),
        ('time_zone not startswith "Europe/"', "BC"),
        ('time_zone endswith "TC"', "BC"),
        ('time_zone not endswith "TC"', "A"),
        ('time_zone ~ "%"', ""),
        ("enrolled = None", ""),
        ('enrolled = "2026-06-01T12:00:00Z"', "ABC"),
        ("last_contact = None", "B"),
        ("last_contact != None", "AC"),
        ('last_contact >= "2026-06-01T14:00:00+02:00"', "A"),
        ('last_contact < "2026-06-01"', "C"),
        ('last_contact > "2026-06-01T17:29:59+05:30"', "A"),
        ('last_contact > "2026-06-01T17:30:00+05:30"', ""),
        ('last_contact <= "2026-06-01T12:00:00Z"', "AC"),
        ('last_contact < "2026-06-01T12:00:01Z"', "AC"),
        ('last_contact in ("2026-06-01T17:30:00+05:30", "2026-06-01T12:00:01Z")', "A"),
        ('not last_contact < "2026-06-01"', "AB"),
        ('last_contact != "2026-06-01T12:00:00"', "BC"),
        ('last_contact not in ("2026-06-01T12:00:00")', "BC"),
        ("confirmed != None", "B"),
        ("blocked = True", "B"),
        ("blocked = False", "AC"),
        ("blocked != True", "AC"),
        ('attribute.region = "EU"', "A"),
        ('attribute.region != "EU"', "BC"),
        ('attribute.region in ("EU", "US")', "AB"),
        ('attribute.region not in ("EU", "US")', "C"),
        ('attribute.region ~ "u"', "AB"),
        ("attribute.region = None", "C"),
        ("attribute.region != None", "AB"),
        ("attribute.mileage > 0", "A"),
        ("attribute.mileage <= -0.5", "B"),
        ("attribute.mileage in (10, 11)", "A"),
        ("not attribute.mileage > 0", "BC"),
        ("attribute.electric = True", "A"),
        ("attribute.electric = False", "B"),
        ("attribute.electric != True", "BC"),
        ('attribute.built < "2021-01-01"', "A"),
        ('ecu.hardware_id = "engine"', "AB"),
        ('ecu.hardware_id != "engine"', "C"),
        ('ecu.hardware_id ~ "GW"', "ABC"),
        ('ecu.hardware_id in ("gw-2", "gw-3")', "B"),
        ('ecu.serial = "A-1"', "A"),
        ('ecu.installed = "s/engine-1.0"', "AB"),
        ("ecu.installed = None", "ABC"),
        ("ecu.installed != None", ""),
        ('ecu.hardware_id = "engine" and ecu.installed = "s/engine-1.0"', "AB"),
        ('ecu(hardware_id = "engine" and installed = "s/engine-1.0")', "A"),
        ('ecu(hardware_id = "engine" and installed != "s/engine-1.0")', "B"),
        ('ecu(hardware_id = "engine" and not installed = "s/engine-1.0")', "B"),
        ('ecu(hardware_id = "engine" and installed != None)', "A"),
        ('not ecu(hardware_id = "engine" and installed = "s/engine-1.0")', "BC"),
        ('group = "pilot"', "AB"),
        ('group != "pilot"', "C"),
        ('group in ("empty", "pilot")', "AB"),
        ('group not in ("empty", "pilot")', "C"),
        ('group = "pilot" and attribute.region = "EU" and attribute.mileage > 5', "A"),
        ('group = "empty" or vehicle_id = "B" and blocked = True', "B"),
        ('not (attribute.region = "EU" or ecu.serial = "C-0")', "B"),
    ],
)
def test_a_filter_finds_the_tenants_vehicles(tenant, text, expected):
    assert matching(tenant, text) == expected


@pytest.mark.parametrize(
    ("text", "column", "token", "suggestions"),
    [
        ('attribute.regoin = "EU"', 1, "attribute.regoin", ["attribute.region"]),
        ('attribute.secret = "x"', 1, "attribute.secret", ["attribute.electric", "attribute.region"]),
        ('blocked = True and ecu.hwid = "x"', 20, "ecu.hwid", ["ecu.hardware_id"]),
        ('tenant__name = "second"', 1, "tenant__name", []),
        ('pk = "1"', 1, "pk", []),
        ('ecu(ecu.serial = "x")', 5, "ecu.serial", ["serial"]),
        ('ecu(vehicle_id = "A")', 5, "vehicle_id", []),
        ('ecu(ecu(serial = "A"))', 5, "ecu", []),
        ('ecus(serial = "A")', 1, "ecus", ["ecu"]),
    ],
)
def test_an_unknown_field_is_refused_with_what_may_have_been_meant(tenant, text, column, token, suggestions):
    with pytest.raises(FilterUnknownFieldError) as refused:
        queries.vehicles_matching(tenant, text)

    details = refused.value.details
    assert (details["line"], details["column"], details["token"]) == (1, column, token)
    assert set(suggestions) <= set(details["suggestions"])
    assert "secret" not in "".join(details["suggestions"])


@pytest.mark.parametrize(
    ("text", "column", "token"),
    [
        ('vehicle_id > "A"', 12, ">"),
        ("vehicle_id = 1", 14, "1"),
        ("vehicle_id = None", 14, "None"),
        ('vehicle_id in ("A", 1)', 15, "1"),
        ('vehicle_id in ("A", None)', 15, "None"),
        (r'vehicle_id = "\u0000"', 14, "\x00"),
        (r'vehicle_id = "\ud800"', 14, "\ud800"),
        ('blocked = "yes"', 11, "yes"),
        ("blocked in (True)", 9, "in"),
        ("blocked = None", 11, "None"),
        ("last_contact = 7", 16, "7"),
        ('last_contact ~ "2026"', 14, "~"),
        ('last_contact < "soon"', 16, "soon"),
        ("attribute.region = 1", 20, "1"),
        ("attribute.region in (None)", 21, "None"),
        ('attribute.mileage = "10"', 21, "10"),
        ("attribute.mileage = True", 21, "True"),
        ("attribute.mileage < 1e999", 21, "inf"),
        ("attribute.mileage < 1" + "0" * 400, 21, "1" + "0" * 39),
        ("attribute.electric = 1", 22, "1"),
        ("attribute.electric in (True)", 20, "in"),
        ('attribute.built = "2026-13-01"', 19, "2026-13-01"),
        ("ecu.serial = None", 14, "None"),
        ("ecu(serial = 1)", 14, "1"),
        ('vehicle_id ~ ""', 14, '""'),
        ('ecu.version !~ ""', 16, '""'),
        ('not attribute.region startswith ""', 33, '""'),
        ('vehicle_id not endswith ""', 25, '""'),
        ("group = 1", 9, "1"),
        ("group = None", 9, "None"),
    ],
)
def test_a_value_or_operator_of_the_wrong_type_is_refused_with_its_place(tenant, text, column, token):
    with pytest.raises(FilterWrongTypeError) as refused:
        queries.vehicles_matching(tenant, text)

    details = refused.value.details
    assert (details["line"], details["column"], details["token"]) == (1, column, token)
    assert refused.value.code == "filter.wrong_type"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('group = "secret"', "There is no group 'secret'."),
        ('group in ("pilot", "Pilot")', "There is no group 'Pilot'."),
        ('group = "moving"', "A filter names static groups only, not 'moving'."),
    ],
)
def test_a_group_that_is_unknown_here_or_dynamic_is_refused(tenant, text, rule):
    with pytest.raises(FilterUnknownGroupError) as refused:
        queries.vehicles_matching(tenant, text)

    assert refused.value.details["rule"] == rule
