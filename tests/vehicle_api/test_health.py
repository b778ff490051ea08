import pytest
from django.test import Client

from otaserver.campaigns.models import HealthReading
from tests.campaigns.campaign_factories import HARDWARE, in_turn, make_running, make_versions, succeed
from tests.campaigns.health_factories import add_signals
from tests.factories import NOON, make_tenant
from tests.vehicle_api.conftest import Caller, check_problem, give_token

pytestmark = pytest.mark.any_database

POISON = [b"1e400", b"NaN", b"-Infinity", b'"\\u0000"']


@pytest.fixture
def soaking(server_clock):
    """Return a vehicle's soaking assignment in a campaign whose release states two signals, and its caller."""
    tenant = make_tenant()
    release = add_signals(make_versions(tenant, "2.0", HARDWARE), boots=3, crashes=0)
    (assignment,) = in_turn(make_running(vehicles=1, tenant=tenant, release=release))
    succeed(assignment)
    return assignment, Caller(Client(), tenant.name, give_token(assignment.vehicle, "otav_running"))


def readings():
    return list(HealthReading.objects.order_by("name", "pk").values_list("name", "value"))


@pytest.mark.django_db
def test_signals_are_stored_and_what_nobody_asked_for_is_ignored(soaking):
    _, caller = soaking

    response = caller.post("health", {"signals": {"boots": 2, "crashes": 0.5, "mood": 7}})

    assert (response.status_code, response.json()) == (200, {"accepted": ["boots", "crashes"], "ignored": ["mood"]})
    assert readings() == [("boots", 2.0), ("crashes", 0.5)]
    assert HealthReading.objects.first().at == NOON


@pytest.mark.django_db
@pytest.mark.every_case
@pytest.mark.parametrize("poison", POISON)
def test_a_number_that_is_not_finite_is_refused_and_nothing_is_stored(soaking, poison):
    _, caller = soaking

    response = caller.post("health", b'{"signals": {"boots": 1, "crashes": ' + poison + b"}}")

    assert response.status_code in (400, 422)
    assert readings() == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [[], {}, {"signals": []}, {"signals": {"boots": "2"}}, {"signals": {"boots": True}}, {"signals": {"b": None}}],
)
def test_what_is_no_table_of_numbers_is_422(soaking, body):
    _, caller = soaking

    check_problem(caller.post("health", body), 422, "request.fields_invalid")
    assert readings() == []


@pytest.mark.django_db
def test_a_number_too_large_for_the_database_is_refused(soaking):
    _, caller = soaking

    check_problem(caller.post("health", {"signals": {"boots": 10**400}}), 400, "request.malformed")
    check_problem(caller.post("health", {"signals": {"boots": 9 * 10**308}}), 422, "request.fields_invalid")
    assert readings() == []


@pytest.mark.django_db
def test_a_name_out_of_its_form_is_422_and_nothing_is_stored(soaking):
    _, caller = soaking

    check_problem(caller.post("health", {"signals": {"boots": 1, "Boots!": 2}}), 422, "health.refused")
    assert readings() == []


@pytest.mark.django_db
def test_too_much_is_refused_unread(soaking):
    _, caller = soaking

    check_problem(caller.post("health", b"1" * (16 * 1024 + 1)), 413, "request.too_large")
    many = {"signals": {f"s{number}": 1 for number in range(101)}}
    check_problem(caller.post("health", many), 422, "request.fields_invalid")


def test_a_vehicle_that_is_asked_nothing_may_say_it_all_the_same(caller):
    assert caller.post("health", {"signals": {"boots": 1}}).json() == {"accepted": [], "ignored": ["boots"]}
    assert not HealthReading.objects.exists()


def test_health_needs_a_credential(caller):
    caller.token = "wrong"

    check_problem(caller.post("health", {"signals": {}}), 401, "credential.invalid")
    check_problem(caller.get("health"), 405, "request.method")
