import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from firmware_store.models import VerificationKey
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Decision, SoftwareChange, Wave, WorkshopCase
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet import operations as fleet
from otaserver.fleet.arrival_models import FleetImport, FleetImportProblem
from otaserver.fleet.authentication_models import AuthenticationSet, TenantToken
from tests.factories import NOON, make_group, make_package, make_release, make_vehicle


class Fleet:
    """Adds one more of everything that a list may hold."""

    def __init__(self, tenant):
        self.tenant = tenant
        self.package = make_package(tenant, "first")
        self.release = make_release(tenant, self.package)
        self.group = make_group(tenant)
        self.dynamic = fleet.create_group(tenant, name="all", filter='ecu.hardware_id = "gateway"', by="test", at=NOON)
        self.campaign = self._campaign("campaign")
        self.wave = Wave.objects.create(campaign=self.campaign, number=1, percent=1, state="open")
        self.arrival = self._arrival("first")
        self.count = 0

    def _campaign(self, name):
        return Campaign.objects.create(
            tenant=self.tenant,
            name=name,
            release=self.release,
            group=self.group,
            fallback_release=self.release,
            created_by="test",
            created_at=NOON,
            state="running",
        )

    def _arrival(self, name):
        return FleetImport.objects.create(
            tenant=self.tenant, kind="csv", filename=name, length=1, created_by="test", created_at=NOON
        )

    def grow(self):
        self.count += 1
        self._arrival(f"file {self.count}")
        FleetImportProblem.objects.create(fleet_import=self.arrival, line=self.count, code="line.malformed", rule="x")
        VerificationKey.objects.create(
            tenant=self.tenant, name=f"key {self.count}", format="swu", pem="x", created_by="test", created_at=NOON
        )
        vehicle = make_vehicle(self.tenant, hardware=("gateway", "brake"))
        fleet.add_to_group(self.group, [vehicle], by="test", at=NOON)
        package = make_package(self.tenant, f"part-{self.count}", hardware_ids=(f"hw-{self.count}",))
        make_release(self.tenant, self.package, package, version=f"v{self.count}")
        make_group(self.tenant)
        self._campaign(f"campaign {self.count}")
        Wave.objects.create(campaign=self.campaign, number=1 + self.count, percent=1 + self.count)
        assignment = Assignment.objects.create(
            campaign=self.campaign, vehicle=vehicle, wave=self.wave, rank=self.count, state=AssignmentState.WAITING
        )
        WorkshopCase.objects.create(
            vehicle=vehicle, assignment=assignment, code="silent", reason="Silent.", opened_at=NOON
        )
        SoftwareChange.objects.create(
            vehicle=vehicle,
            ecu_serial="a",
            to_target="b",
            to_sha256="c",
            at=NOON,
            cause="foreign",
            policy="flag",
            campaign=self.campaign,
        )
        AuthenticationSet.objects.create(
            tenant=self.tenant,
            identity={"vin": "VIN1"},
            identity_sha256="a",
            key_sha256=str(self.count),
            claimed_vehicle_id="VIN1",
            state="pending",
            created_at=NOON,
        )
        TenantToken.objects.create(
            tenant=self.tenant, name=f"token {self.count}", sha256=str(self.count), created_at=NOON
        )
        Attempt.objects.create(assignment=assignment, vehicle=vehicle, number=1, opened_at=NOON)
        Decision.objects.create(
            campaign=self.campaign, wave=self.wave, at=NOON, kind="wave.opened", actor="engine", sentence="Opened."
        )


LISTS = [
    "/packages",
    "/releases",
    "/vehicles",
    '/vehicles?filter=ecu.hardware_id = "gateway"',
    "/groups",
    "/groups/{group}/vehicles",
    "/groups/{dynamic}/vehicles",
    "/campaigns",
    "/campaigns/{campaign}",
    "/campaigns/{campaign}/waves",
    "/campaigns/{campaign}/assignments",
    "/campaigns/{campaign}/decisions",
    "/devices?state=pending&vehicle=VIN1",
    "/tenant-tokens",
    "/workshop-cases?open=true",
    "/verification-keys",
    "/imports",
    "/imports/{arrival}/problems",
    "/software-changes?policy=flag",
    "/audit",
]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_asks_the_database_as_often_for_three_rows_as_for_one(tenant, caller, path):
    rows = Fleet(tenant)
    path = path.format(group=rows.group.pk, dynamic=rows.dynamic.pk, campaign=rows.campaign.pk, arrival=rows.arrival.pk)
    rows.grow()
    caller.get(path)
    with CaptureQueriesContext(connection) as one:
        assert caller.get(path).status_code == 200
    rows.grow()
    rows.grow()

    with CaptureQueriesContext(connection) as three:
        response = caller.get(path)

    assert response.status_code == 200
    assert len(three) == len(one), [query["sql"] for query in three]


def test_pages_hold_each_row_once_also_while_rows_arrive(tenant, caller):
    for number in range(5):
        make_package(tenant, f"part-{number}")
    seen, path = [], "/packages?limit=2"

    while path:
        page = caller.get(path).json()
        seen += [row["name"] for row in page["results"]]
        path = page["next"] and "/packages?" + page["next"].partition("?")[2]
        make_package(tenant, f"late-{len(seen)}")

    assert seen == ["part-4", "part-3", "part-2", "part-1", "part-0"]


def test_a_page_never_holds_more_than_a_thousand_rows(tenant, caller):
    for _ in range(3):
        make_group(tenant)

    assert len(caller.get("/groups?limit=100000").json()["results"]) == 3
    assert len(caller.get("/groups?limit=2").json()["results"]) == 2
    for wrong in ("-1", "0", "x", "", "9" * 30):
        assert caller.get(f"/groups?limit={wrong}").json()["code"] == "request.fields_invalid"


def test_lists_are_narrowed_by_the_fields_that_they_name(tenant, caller):
    make_package(tenant, "engine", "1.0")
    make_package(tenant, "brake", "1.0", state="withdrawn")

    assert [row["name"] for row in caller.get("/packages?state=withdrawn").json()["results"]] == ["brake"]
    assert [row["name"] for row in caller.get("/packages?name=engine&state=published").json()["results"]] == ["engine"]
    assert caller.get("/packages?name=engine&state=withdrawn").json()["results"] == []


def test_vehicles_are_narrowed_by_the_filter_language(tenant, caller):
    make_vehicle(tenant, "VIN1", hardware=("gateway",))
    make_vehicle(tenant, "VIN2", hardware=("tractor",))

    found = caller.get('/vehicles?filter=ecu.hardware_id = "tractor"').json()["results"]

    assert [(row["vehicle_id"], [ecu["hardware_id"] for ecu in row["ecus"]]) for row in found] == [
        ("VIN2", ["tractor"])
    ]
    assert caller.get("/vehicles/VIN2").json() == found[0]


def test_an_assignment_comes_with_its_explanation_and_attempts(tenant, caller):
    rows = Fleet(tenant)
    rows.grow()

    (found,) = caller.get(f"/campaigns/{rows.campaign.pk}/assignments").json()["results"]

    assert found["wave"] == 1
    assert len(found["attempts"]) == 1
    assert found["explanation"].endswith(".")
