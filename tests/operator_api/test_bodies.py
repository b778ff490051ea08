"""What is no request is refused with a code, a sentence, and nothing changed."""

import json
import re

import pytest

from otaserver.audit.models import Entry
from otaserver.campaigns.models import Campaign
from otaserver.fleet.models import Attribute, ClaimCode, Group
from otaserver.operator_api import bodies, urls
from otaserver.operator_api.bodies import BytesParser
from otaserver.operator_api.views.base import TenantView
from tests.factories import make_group, make_package, make_release
from tests.operator_api.test_matrix import body_of, filled, things_of

pytestmark = pytest.mark.any_database

POSTS = ["/packages", "/releases", "/groups", "/claim-codes", "/campaigns", "/tenant/stop"]
MALFORMED = {
    "empty text": b" ",
    "cut off": b'{"name": "a"',
    "not UTF-8": b'{"name": "\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "two documents": b"{}{}",
    "not a number": b'{"name": NaN}',
    "infinite": b'{"name": -Infinity}',
    "a name twice": b'{"name": "a", "name": "b"}',
    "nested too deeply": b"[" * 100_000,
    "infinite in its way": b'{"length": 1e400}',
    "nested beyond the limit": b'{"name": ' + b"[" * 50 + b"]" * 50 + b"}",
    "an endless number": b'{"length": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("kind", MALFORMED)
def test_a_body_that_is_no_json_is_malformed(caller, path, kind):
    response = caller("POST", path, MALFORMED[kind])

    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "request.malformed"
    assert not Entry.objects.exists()


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [[], "text", 1, None, True, {}])
def test_json_that_is_no_object_with_the_fields_names_them(caller, path, body):
    response = caller("POST", path, json.dumps(body).encode())

    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "request.fields_invalid")
    assert problem["fields"]
    assert all(isinstance(sentence, str) for each in problem["fields"].values() for sentence in each)
    assert not Entry.objects.exists()


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense"]
)
def test_another_media_type_is_a_415(caller, path, content_type):
    response = caller("POST", path, b"{}", content_type=content_type)

    assert (response.status_code, response.json()["code"]) == (415, "request.media_type")


def test_a_body_beyond_the_limit_is_not_read_to_its_end(caller):
    response = caller("POST", "/groups", b" " * (bodies.MAX_JSON_BYTES + 1))

    assert (response.status_code, response.json()["code"]) == (413, "request.too_large")


def test_an_answer_in_another_media_type_is_a_406(caller):
    response = caller.get("/me", Accept="text/html")

    assert (response.status_code, response.json()["code"]) == (406, "request.not_acceptable")


PACKAGE = {
    "role": "supplier",
    "name": "engine",
    "version": "1.0",
    "hardware_ids": ["gateway"],
    "filename": "engine.bin",
    "length": 10,
    "sha256": "a" * 64,
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", None),
        ("role", ""),
        ("role", {"a": 1}),
        ("name", "a" * 81),
        ("name", "\x00"),
        ("name", "\ud800"),
        ("version", ["1"]),
        ("hardware_ids", []),
        ("hardware_ids", "gateway"),
        ("hardware_ids", [""]),
        ("hardware_ids", ["a"] * 65),
        ("release_counter", -1),
        ("release_counter", 2**31),
        ("release_counter", 1.5),
        ("release_counter", "high"),
        ("length", -1),
        ("length", 10**30),
        ("length", None),
        ("sha256", "A" * 64),
        ("sha256", "a" * 63),
        ("sha256", "a" * 64 + "\n"),
    ],
)
def test_a_field_out_of_its_form_is_named(caller, field, value):
    response = caller.post("/packages", PACKAGE | {field: value})

    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "request.fields_invalid"), problem
    assert [name.partition("[")[0] for name in problem["fields"]] == [field]
    assert field in problem["detail"]
    assert not Entry.objects.exists()


def test_a_field_deep_inside_is_named_by_its_path(tenant, caller):
    release, group = make_release(tenant, make_package(tenant)), make_group(tenant)

    response = caller.post(
        "/campaigns",
        {
            "name": "a",
            "release": release.pk,
            "group": group.pk,
            "waves": [{"percent": 5}, {"percent": 101}],
            "alpha": 2,
        },
    )

    assert response.json()["fields"] == {
        "waves[1].percent": ["Ensure this value is less than or equal to 100. Given was 101."],
        "alpha": ["Ensure this value is less than or equal to 0.5. Given was 2."],
    }
    assert not Campaign.objects.exists()


def test_a_rule_of_the_domain_is_passed_on_with_its_own_code(tenant, caller):
    release, group = make_release(tenant, make_package(tenant)), make_group(tenant)

    response = caller.post(
        "/campaigns",
        {
            "name": "a",
            "release": release.pk,
            "group": group.pk,
            "waves": [{"percent": 50}, {"percent": 20}],
            "no_way_back_reason": "first",
        },
    )

    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "campaign.plan_refused")
    assert problem["detail"] == "The waves' cumulative percents must rise from above 0; 50.000, 20.000 do not."
    assert not Campaign.objects.exists()


def test_a_filter_that_cannot_be_read_is_refused_with_its_position(caller):
    response = caller.post("/groups", {"name": "a", "filter": 'vehicle_id = "x" and and'})

    problem = response.json()
    assert response.status_code == 422
    assert problem["code"].startswith("filter.")
    assert (problem["line"], problem["column"]) == (1, 22)
    assert not Group.objects.exists()


def test_a_filter_on_a_list_is_refused_with_its_position(caller):
    response = caller.get('/vehicles?filter=nosuch = "x"')

    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "filter.unknown_field")
    assert (problem["line"], problem["column"]) == (1, 1)


@pytest.mark.parametrize("cursor", ["x", "cD1hYmM=", "cD0tMQ==", "bz14", "cD0x4pyT"])
def test_a_cursor_that_is_none_is_refused(caller, cursor):
    response = caller.get(f"/packages?cursor={cursor}")

    assert (response.status_code, response.json()["code"]) == (400, "cursor.invalid")


@pytest.mark.parametrize("query", ["?state=nosuch", "?name=%00", "?name=%ED%A0%80", "?target_name=" + "x" * 5000])
def test_a_query_that_nothing_matches_is_an_empty_list(caller, query):
    assert caller.get(f"/packages{query}").json()["results"] == []


@pytest.mark.parametrize("pk", ["0", "99999999999999999999", "9" * 400])
def test_a_number_that_no_row_can_have_is_not_found(caller, pk):
    response = caller.get(f"/packages/{pk}")

    assert (response.status_code, response.json()["code"]) == (404, "resource.not_found")


def test_claim_codes_are_issued_for_all_or_none(caller):
    response = caller.post("/claim-codes", {"vehicle_ids": ["VIN1", "with space"]})

    assert (response.status_code, response.json()["code"]) == (422, "vehicle.id_refused")
    assert not ClaimCode.objects.exists()
    assert not Entry.objects.exists()


WITH_BODIES = [
    (method, str(pattern.pattern), pattern.callback.view_class)
    for pattern in urls.urlpatterns
    for method in ("POST", "PUT", "PATCH")
    if issubclass(pattern.callback.view_class, TenantView)
    and hasattr(pattern.callback.view_class, method.lower())
    and BytesParser not in pattern.callback.view_class.parser_classes
]
NAMES = {"<str:repository>": "image", "<str:role>": "supplier", "<str:name>": "owner"}


def test_no_change_reads_over_a_member_that_it_does_not_know(tenant, caller):
    Attribute.objects.create(tenant=tenant, name="owner", type="text")
    things, entries, wrong = things_of(tenant), Entry.objects.count(), {}

    for method, route, view in WITH_BODIES:
        known = re.sub("<str:[a-z]+>", lambda found: NAMES.get(found[0], found[0]), route)
        path = filled(known, things) if "<" in known else f"/{known}"
        named = {"If-Match": '"1"'} if view.compares_version else {}
        answer = caller(method, path, {**body_of(method, route), "nobody_reads_this": 1}, **named)
        if answer.status_code != 422 or "nobody_reads_this" not in answer.json().get("fields", {}):
            wrong[method, route] = answer.status_code, answer.content[:200]

    assert len(WITH_BODIES) > 80
    assert wrong == {}
    assert Entry.objects.count() == entries
