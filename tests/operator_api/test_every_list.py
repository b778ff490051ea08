"""Every list of the API, found in its document, asks the database as often for many rows as for one."""

import csv
import io
import uuid
from datetime import timedelta

import jsonschema_rs
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver.campaigns.models import Blackout
from otaserver.events.models import Delivery, Endpoint, Event
from otaserver.events.rules.envelope import Object, data_of
from otaserver.events.rules.types import TYPES
from otaserver.fleet.lifecycle_models import EcuSwap
from otaserver.fleet.models import Attribute, Credential
from otaserver.fleet.protocol_models import GatewayToken
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.fleet.watch_models import AddressWatch, SeenRequest
from otaserver.operator_api.schema import is_list
from otaserver.people import operations as people
from otaserver.tenants.states import Role
from tests.factories import NOON, make_vehicle
from tests.operator_api import fuzz
from tests.operator_api.conftest import Caller
from tests.operator_api.test_lists import Fleet
from tests.people.people_factories import ROOT, make_member, make_personal_token

LATER = NOON + timedelta(days=1)


class Everything(Fleet):
    """Adds one more of everything that any list may hold."""

    def __init__(self, tenant):
        super().__init__(tenant)
        self.car = make_vehicle(tenant, "VIN1")
        self.mia = make_member(tenant)
        self.endpoint = self._endpoint()

    def _endpoint(self):
        return Endpoint.objects.create(
            tenant=self.tenant, url="https://example.com/", salt="0", created_by="x", created_at=NOON
        )

    def grow(self):
        super().grow()
        number = str(self.count)
        self._grow_people(number)
        self._grow_events()
        for vehicle in (self.car, make_vehicle(self.tenant)):
            Credential.objects.create(
                vehicle=vehicle, kind="token", fingerprint=f"{vehicle.pk}-{number}", created_at=NOON, expires_at=LATER
            )
        EcuSwap.objects.create(
            vehicle=self.car,
            old_serial=number,
            hardware_id="x",
            reason="x",
            announced_by="x",
            announced_at=NOON,
            expires_at=LATER,
        )
        for vehicle in (self.car, None):
            SeenRequest.objects.create(
                tenant=self.tenant, vehicle=vehicle, address="::1", at=NOON, method="GET", path="/", status=401
            )
        AddressWatch.objects.create(tenant=self.tenant, address=f"::{number}", until=LATER, by="x")
        Attribute.objects.create(tenant=self.tenant, name=f"a{number}", type="text")
        GatewayToken.objects.create(tenant=self.tenant, name=number, sha256=number, created_by="x", created_at=NOON)
        ProvisioningCredential.objects.create(
            tenant=self.tenant, name=number, fingerprint=number, created_by="x", created_at=NOON, expires_at=LATER
        )
        Blackout.objects.create(
            tenant=self.tenant, name=number, reason="x", starts_at=NOON, created_by="x", created_at=NOON
        )

    def _grow_people(self, number):
        make_member(self.tenant, f"member {number}")
        people.invite(self.tenant, role=Role.VIEWER, by=ROOT, at=NOON)
        people.issue_service_token(self.tenant, name=f"service {number}", role=Role.VIEWER, by=ROOT, at=NOON)
        make_personal_token(self.mia, f"own {number}")

    def _grow_events(self):
        about = Object("campaign", self.campaign.pk, "campaign")
        event = Event.objects.create(
            tenant=self.tenant,
            sequence=Event.objects.count() + 1,
            public_id=uuid.uuid4(),
            type="campaign.started",
            subject="x",
            at=NOON,
            data=data_of(TYPES["campaign.started"], about, tenant="acme", actor="ann", details={}),
        )
        for endpoint in (self.endpoint, self._endpoint()):
            Delivery.objects.create(endpoint=endpoint, event=event, due_at=NOON, created_at=NOON)

    def address(self, path):
        """Return an address of the document with ids of rows that have something below them."""
        ids = {"groups": self.group.pk, "campaigns": self.campaign.pk, "imports": self.arrival.pk}
        ids |= {"members": self.mia.pk, "webhooks": self.endpoint.pk}
        first = path.removeprefix("/api/v1/").partition("/")[0]
        filled = path.replace("{id}", str(ids.get(first, ""))).replace("{vehicle_id}", "VIN1")
        return filled.removeprefix("/api/v1")


def lists():
    paths = fuzz.document()["paths"]
    return sorted(path for path, item in paths.items() if "get" in item and is_list(item["get"]))


@pytest.fixture
def rows(tenant):
    return Everything(tenant)


@pytest.fixture
def caller(rows):
    """A person: what they have of their own grows as well."""
    return Caller(rows.tenant, make_personal_token(rows.mia, "caller"))


def asked(caller, address):
    with CaptureQueriesContext(connection) as queries:
        response = caller.get(address)
    assert response.status_code == 200, (address, response.content)
    return len(queries), len(response.json()["results"])


def test_no_list_asks_more_often_the_more_rows_it_holds(rows, caller):
    found = lists()
    rows.grow()
    asked(caller, "/groups")
    before = {path: asked(caller, rows.address(path)) for path in found}
    rows.grow()
    rows.grow()

    after = {path: asked(caller, rows.address(path)) for path in found}

    assert len(found) > 25
    # Otherwise nothing would be shown of it: whoever adds a list lets it grow here.
    assert [path for path in found if after[path][1] < before[path][1] + 2] == []
    assert {path: after[path][0] for path in found} == {path: before[path][0] for path in found}


def test_every_page_is_as_its_document_says_and_every_table_has_all_of_its_columns(rows, caller):
    rows.grow()
    document, wrong = fuzz.document(), {}
    for path in lists():
        described = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        page = caller.get(rows.address(path)).json()
        checked = jsonschema_rs.validator_for({**described, "components": document["components"]})
        problems = [error.message for error in checked.iter_errors(page)]
        table = b"".join(caller.get(f"{rows.address(path)}?format=csv").streaming_content).decode()
        header = next(csv.reader(io.StringIO(table)))
        if problems or sorted(header) != sorted(page["results"][0]):
            wrong[path] = problems, header

    assert wrong == {}


def test_every_list_refuses_what_its_document_does_not_name_and_takes_what_it_names(rows, caller):
    wrong = {}
    for path in lists():
        named = fuzz.document()["paths"][path]["get"]["parameters"]
        known = ", ".join(sorted(each["name"] for each in named if each["in"] == "query"))
        for form in ("", "&format=csv"):
            refused = caller.get(f"{rows.address(path)}?nosuch=1{form}")
            told = refused.json().get("detail", "")
            if (refused.status_code, told) != (422, f"There is no parameter 'nosuch'; this list takes {known}."):
                wrong[path] = (refused.status_code, told)

    assert wrong == {}


def test_a_list_of_workshop_cases_takes_open_for_true_or_false_alone(rows, caller):
    assert caller.get("/workshop-cases?open=yes").json()["fields"] == {"open": ["True or false."]}
