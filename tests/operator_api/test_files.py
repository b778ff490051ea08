"""Lists as files for spreadsheets and programs."""

import csv
import io
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver.operator_api import exports
from tests.factories import make_group, make_vehicle

pytestmark = pytest.mark.any_database


def read(response):
    return b"".join(response.streaming_content).decode()


def rows_of(response):
    return list(csv.DictReader(io.StringIO(read(response))))


@pytest.mark.parametrize("how", [("?format=csv", {}), ("", {"Accept": "text/csv"})])
def test_a_list_is_a_table_where_that_is_asked_for(tenant, caller, how):
    query, headers = how
    for name in ("north", "south"):
        make_group(tenant, name=name)

    response = caller.get(f"/groups{query}", **headers)

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="groups.csv"'
    assert [row["name"] for row in rows_of(response)] == ["south", "north"]


def test_json_lines_hold_what_pages_hold(tenant, caller):
    make_vehicle(tenant, hardware=("gateway", "brake"))
    make_vehicle(tenant)

    lines = read(caller.get("/vehicles?format=jsonl")).splitlines()

    assert [json.loads(line) for line in lines] == caller.get("/vehicles").json()["results"]


def test_an_empty_list_is_a_table_with_its_columns(tenant, caller):
    assert read(caller.get("/groups?format=csv")) == "id,name,kind,filter,blocks_updates_reason,created_at\r\n"
    assert read(caller.get("/groups?format=jsonl")) == ""


def test_a_long_list_is_read_in_pages_and_each_row_once(tenant, caller, monkeypatch):
    monkeypatch.setattr(exports, "PAGE_ROWS", 2)
    for number in range(5):
        make_group(tenant, name=f"group {number}")

    with CaptureQueriesContext(connection) as queries:
        found = rows_of(caller.get("/groups?format=csv"))

    assert [row["name"] for row in found] == [f"group {number}" for number in (4, 3, 2, 1, 0)]
    assert len([query for query in queries if 'FROM "fleet_group"' in query["sql"]]) == 3


def test_filters_permission_and_tenant_are_those_of_the_list(tenant, caller, stranger, as_role):
    make_group(tenant, name="north")
    make_group(tenant, name="south")

    assert [row["name"] for row in rows_of(caller.get("/groups?format=csv&name=south"))] == ["south"]
    assert rows_of(stranger.get("/groups?format=csv")) == []
    assert as_role("viewer").get("/audit?format=csv").status_code == 403


def test_what_cannot_be_answered_is_refused_before_the_file_begins(caller):
    refused = caller.get("/vehicles?format=csv&filter=nonsense ~~ 1")

    assert (refused.status_code, refused["Content-Type"]) == (422, "application/problem+json")


def test_only_lists_are_files(caller):
    refused = caller.get("/tenant?format=csv")

    assert (refused.status_code, refused.json()["code"]) == (406, "request.not_acceptable")


@pytest.mark.parametrize("accept", ["text/html", "application/xml"])
def test_a_form_that_there_is_not_is_a_406_problem(caller, accept):
    refused = caller.get("/groups", Accept=accept)

    assert (refused.status_code, refused["Content-Type"]) == (406, "application/problem+json")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("a=1", "a=1"),
        ("", ""),
        (-1, -1),
        (-1.5, -1.5),
        (None, None),
        (True, "true"),
        (["=1"], '["=1"]'),
        ({"a": 1}, '{"a":1}'),
    ],
)
def test_no_text_becomes_a_formula_in_a_spreadsheet(value, written):
    assert exports.cell(value) == written
