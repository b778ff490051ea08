"""What is found by a word of it, in one's own tenants alone."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver.console.pages.search import SHOWN
from otaserver.tenants.states import Role
from tests.console.conftest import make_campaign, make_member, signed_in
from tests.factories import make_group, make_package, make_release, make_tenant, make_vehicle

pytestmark = pytest.mark.any_database


@pytest.fixture
def reader(tenant):
    return signed_in(make_member(tenant, Role.VIEWER))


def fill(tenant, word):
    """A thing of each kind whose name holds the word."""
    vehicle = make_vehicle(tenant, vehicle_id=f"VIN-{word}-{tenant}")
    vehicle.ecus.update(serial=f"S-{word}-{tenant}")
    make_group(tenant, vehicle, name=f"{word} group of {tenant}")
    campaign = make_campaign(tenant, name=f"{word} rollout of {tenant}")
    package = make_package(tenant, f"{word}-{tenant}")
    return vehicle, campaign, package


def found(client, text):
    """What a search answers: the hits by kind, or where it leads at once."""
    answer = client.get("/console/search/", {"q": text})
    if answer.status_code == 302:
        return answer["Location"]
    return {str(kind.title): [hit.name for hit in kind.hits] for kind in answer.context["found"]}


def test_a_word_finds_each_kind_of_thing_and_nothing_of_another_tenant(tenant, reader):
    _, campaign, _ = fill(tenant, "quince")
    _, _, package = fill(make_tenant("south"), "quince")

    assert found(reader, "QUINCE") == {
        "Vehicles": ["VIN-quince-north"],
        "ECUs": ["S-quince-north"],
        "Campaigns": ["quince rollout of north"],
        "Releases": [str(campaign.release)],
        "Packages": ["supplier/quince-north-1.0", "supplier/engine-quince-rollout-of-north"],
        "Groups": ["quince group of north"],
    }
    assert found(reader, "quince south") == found(reader, package.sha256) == {}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("VIN-quince-north", "fleet/vehicle/{vehicle.pk}/change/"),
        ("s-quince-north", "fleet/vehicle/{vehicle.pk}/change/"),
        ("{campaign.release}", "firmware_store/release/{campaign.release.pk}/change/"),
        ("{package.sha256}", "firmware_store/package/{package.pk}/change/"),
        ("quince-north-1.0", "firmware_store/package/{package.pk}/change/"),
        ("quince group of", "groups/?tenant=north#group-{group.pk}"),
        ("blackouts", "campaigns/blackout/"),
    ],
)
def test_what_is_one_thing_alone_is_opened_at_once(tenant, reader, text, place):
    vehicle, campaign, package = fill(tenant, "quince")
    group = vehicle.memberships.get().group
    things = {"vehicle": vehicle, "package": package, "group": group, "campaign": campaign}

    assert found(reader, text.format(**things)) == f"/console/{place.format(**things)}"


def test_a_page_that_one_may_not_open_is_not_found(tenant, reader):
    manager = signed_in(make_member(tenant, Role.ADMINISTRATOR, username="ada"))

    assert found(manager, "service tokens") == "/console/tokens/"
    assert found(reader, "service tokens") == {}


def test_more_than_is_shown_leads_to_the_list(tenant, reader):
    for _ in range(SHOWN + 1):
        make_vehicle(tenant)
    cars = sorted(tenant.vehicles.values_list("vehicle_id", flat=True))

    answer = reader.get("/console/search/", {"q": cars[0][:3]})

    (vehicles,) = (kind for kind in answer.context["found"] if kind.title == "Vehicles")
    assert [hit.name for hit in vehicles.hits] == cars[:SHOWN]
    assert vehicles.more == f"/console/fleet/vehicle/?q={cars[0][:3]}"


def test_a_search_takes_as_many_queries_for_three_of_a_kind_as_for_one(tenant, reader):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            reader.get("/console/search/", {"q": "quince"})
        return len(captured)

    fill(tenant, "quince")
    queries()
    with_one = queries()
    make_release(tenant, make_package(tenant, "quince-2"), name="quince 2")
    make_release(tenant, make_package(tenant, "quince-3"), name="quince 3")

    assert queries() == with_one


def test_nothing_is_found_by_nothing(tenant, reader):
    make_vehicle(tenant)

    assert found(reader, " \0 ") == {}
    assert "Nothing here is called" in reader.get("/console/search/", {"q": "zzz"}).content.decode()
