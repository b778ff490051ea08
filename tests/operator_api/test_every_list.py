"""Every list of the API, found in its document, asks the database as often for many rows as for one."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver.campaigns.models import Blackout
from otaserver.fleet.lifecycle_models import EcuSwap
from otaserver.fleet.models import Attribute, Credential
from otaserver.fleet.protocol_models import GatewayToken
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.fleet.watch_models import AddressWatch, SeenRequest
from otaserver.operator_api.schema import is_list
from tests.factories import NOON, make_vehicle
from tests.operator_api import fuzz
from tests.operator_api.test_lists import Fleet

LATER = NOON + timedelta(days=1)


class Everything(Fleet):
    """Adds one more of everything that any list may hold."""

    def __init__(self, tenant):
        super().__init__(tenant)
        self.car = make_vehicle(tenant, "VIN1")

    def grow(self):
        super().grow()
        number = str(self.count)
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

    def address(self, path):
        """Return an address of the document with ids of rows that have something below them."""
        ids = {"groups": self.group.pk, "campaigns": self.campaign.pk, "imports": self.arrival.pk}
        first = path.removeprefix("/api/v1/").partition("/")[0]
        filled = path.replace("{id}", str(ids.get(first, ""))).replace("{vehicle_id}", "VIN1")
        return filled.removeprefix("/api/v1")


def lists():
    paths = fuzz.document()["paths"]
    return sorted(path for path, item in paths.items() if "get" in item and is_list(item["get"]))


@pytest.fixture
def rows(tenant):
    return Everything(tenant)


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
