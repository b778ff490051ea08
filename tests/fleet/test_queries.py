import pytest

from otaserver.fleet import queries
from otaserver.fleet.errors import VehicleNotFoundError
from otaserver.fleet.queries import FilterPreview
from tests.factories import make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


def test_a_vehicle_is_found_by_its_id_within_its_tenant():
    tenant = make_tenant()
    vehicle = make_vehicle(tenant, "VIN1")
    make_vehicle(make_tenant(), "VIN1")

    assert queries.vehicle_by_id(tenant, "VIN1") == vehicle


@pytest.mark.parametrize("vehicle_id", ["VIN2", "", "x" * 1000])
def test_another_tenants_vehicle_is_not_found(vehicle_id):
    make_vehicle(make_tenant(), "VIN2")

    with pytest.raises(VehicleNotFoundError) as refused:
        queries.vehicle_by_id(make_tenant(), vehicle_id)

    assert refused.value.details == {"vehicle_id": vehicle_id[:100]}


def test_a_preview_counts_all_and_names_the_first_few():
    tenant = make_tenant()
    for number in range(25):
        make_vehicle(tenant, f"A{number:02}")
    make_vehicle(tenant, "B")

    preview = queries.preview(tenant, 'vehicle_id startswith "A"')

    assert preview == FilterPreview(25, tuple(f"A{number:02}" for number in range(20)))


def test_a_preview_beyond_its_cap_says_at_least(monkeypatch):
    monkeypatch.setattr(queries, "PREVIEW_CAP", 3)
    tenant = make_tenant()
    for number in range(3):
        make_vehicle(tenant, f"A{number}")
    exact = queries.preview(tenant, "blocked = False")
    make_vehicle(tenant, "A3")

    capped = queries.preview(tenant, "blocked = False")

    assert exact == FilterPreview(3, ("A0", "A1", "A2"))
    assert (capped.count, capped.is_exact, len(capped.sample)) == (3, False, 3)


def test_a_preview_costs_one_query(django_assert_num_queries):
    tenant = make_tenant()
    make_vehicle(tenant)

    with django_assert_num_queries(1):
        queries.preview(tenant, 'ecu.serial = "x" or blocked = True')
