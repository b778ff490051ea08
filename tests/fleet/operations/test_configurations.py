import hashlib
import json
import re

import pytest

from otaserver.fleet import operations
from otaserver.fleet.models import Configuration, Ecu, Vehicle
from tests.factories import make_tenant, make_vehicle
from tests.processes import ROOT

pytestmark = pytest.mark.django_db


def test_vehicles_that_are_alike_share_one_row_and_others_do_not():
    tenant = make_tenant()
    one, two = (make_vehicle(tenant, hardware=("gateway", "brake")) for _ in range(2))
    other = make_vehicle(tenant)

    assert one.configuration_id == two.configuration_id != other.configuration_id
    found = Configuration.objects.get(pk=one.configuration_id)
    assert found.ecus == [["brake", "", ""], ["gateway", "", ""]]
    assert found.sha256 == hashlib.sha256(json.dumps(found.ecus, separators=(",", ":")).encode()).hexdigest()


def test_tenants_share_nothing():
    assert make_vehicle().configuration_id != make_vehicle().configuration_id


def test_what_an_import_has_written_is_refreshed_in_chunks_and_once(monkeypatch):
    monkeypatch.setattr("otaserver.fleet.operations.configurations._CHUNK", 2)
    tenant = make_tenant()
    vehicles = [make_vehicle(tenant) for _ in range(5)]
    Vehicle.objects.create(tenant=tenant, vehicle_id="BARE", created_at=vehicles[0].created_at)
    Ecu.objects.filter(vehicle__in=vehicles[:3]).update(installed_target="a/b-1", installed_sha256="ab")

    assert operations.refresh_configurations(Vehicle.objects.of(tenant)) == 6
    before = list(Vehicle.objects.order_by("pk").values_list("configuration", flat=True))
    assert operations.refresh_configurations(Vehicle.objects.of(tenant)) == 6

    assert list(Vehicle.objects.order_by("pk").values_list("configuration", flat=True)) == before
    assert before[5] is None
    ecus = [row.configuration.ecus for row in Vehicle.objects.order_by("pk")[:5]]
    assert ecus == [[["gateway", "a/b-1", "ab"]]] * 3 + [[["gateway", "", ""]]] * 2
    assert Configuration.objects.count() == 2


def test_nothing_else_writes_what_ecus_are_and_run():
    """Whoever changes an ECU refreshes the configuration in the same transaction: these operations do."""
    writers = set()
    for path in [*(ROOT / "otaserver").rglob("*.py")]:
        text = path.read_text()
        writes = re.search(
            r"\bEcu\(|Ecu\.objects\.[a-z_]*(create|update)|ecus\.(all\(\)\.)?(delete|update|create)", text
        )
        writes = writes or re.search(r"Ecu\.objects\.filter\([^)]*\)\.update", text)
        if writes or re.search(r"\bEcu\.objects[^\n]*\n[^\n]*rows\.update|rows\.update\(\n\s+report_counter", text):
            writers.add(path.relative_to(ROOT).as_posix())

    assert writers - {"otaserver/fleet/models.py"} == {
        "otaserver/fleet/operations/enrolment.py",
        "otaserver/director/operations/manifests.py",
        "otaserver/director/operations/assertions.py",
        "otaserver/fleet/operations/keyless.py",
        "otaserver/fleet/operations/arrivals.py",
    }
