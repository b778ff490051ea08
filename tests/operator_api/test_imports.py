import json

import pytest

from otaserver import clock
from otaserver.fleet import operations
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.models import Vehicle
from tests.factories import NOON

BYTES = "application/octet-stream"
LINES = b"\n".join([json.dumps({"vehicle_id": "VIN1"}).encode(), b"no json", b'{"vehicle_id": "a b"}'])


def send(caller, data=LINES, query="kind=jsonl&filename=fleet.jsonl", **headers):
    return caller("POST", f"/imports?{query}", data, **({"content_type": BYTES} | headers))


def work():
    for pk in operations.due_imports(at=NOON):
        operations.run_import(pk, now=clock.now)


def test_a_file_is_sent_waits_for_a_worker_and_is_taken_in(caller):
    begun = send(caller)

    assert (begun.status_code, begun.json()["state"], begun.json()["counts"]["lines"]) == (201, "waiting", 0)
    assert begun.json()["created_by"] == "token:a administrator"
    assert not Vehicle.objects.exists()

    work()

    done = caller.get(f"/imports/{begun.json()['id']}").json()
    assert (done["state"], done["done_bytes"], done["length"]) == ("finished", len(LINES), len(LINES))
    assert (done["counts"]["lines"], done["counts"]["refused"], done["counts"]["vehicles_created"]) == (3, 2, 1)
    assert [row["id"] for row in caller.get("/imports").json()["results"]] == [done["id"]]


def test_the_lines_left_out_are_told_in_order_with_value_and_rule(caller):
    begun = send(caller).json()
    work()

    page = caller.get(f"/imports/{begun['id']}/problems?limit=1").json()
    assert page["results"][0]["line"] == 2
    second = caller.get(page["next"].partition("/api/v1")[2]).json()["results"]
    assert [(row["line"], row["code"], row["value"]) for row in second] == [(3, "vehicle.id_refused", "a b")]
    assert "1 to 64 letters" in second[0]["rule"]


def test_a_dry_run_is_asked_for_in_the_address(caller):
    assert send(caller, query="kind=csv&dry_run=true", data=b"vehicle_id\nVIN1\n").json()["is_dry_run"] is True
    work()

    assert FleetImport.objects.get().counts["vehicles_created"] == 1
    assert not Vehicle.objects.exists()


@pytest.mark.parametrize(
    ("status", "code", "request_"),
    [
        (422, "request.fields_invalid", {"query": "filename=x"}),
        (422, "request.fields_invalid", {"query": "kind=xlsx"}),
        (422, "request.fields_invalid", {"query": "kind=csv&dry_run=perhaps"}),
        (415, "request.media_type", {"content_type": "text/csv"}),
    ],
)
def test_what_is_no_file_is_refused(caller, status, code, request_):
    answer = send(caller, **request_)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not FleetImport.objects.exists()


def test_another_tenant_s_file_is_not_seen(caller, stranger):
    begun = send(caller).json()

    assert stranger.get("/imports").json()["results"] == []
    for path in (f"/imports/{begun['id']}", f"/imports/{begun['id']}/problems"):
        assert stranger.get(path).status_code == 404
