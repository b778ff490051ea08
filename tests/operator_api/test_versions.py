"""ETag, If-None-Match and If-Match, the same everywhere."""

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet.models import Attribute, Group, Vehicle
from otaserver.operator_api import urls
from otaserver.operator_api.views.base import TenantView
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_group, make_vehicle
from tests.operator_api.test_matrix import body_of, filled, things_of

pytestmark = pytest.mark.any_database


def test_what_is_read_has_a_version_and_is_not_sent_twice(tenant, caller):
    group = make_group(tenant)
    read = caller.get(f"/groups/{group.pk}")

    same = caller.get(f"/groups/{group.pk}", **{"If-None-Match": read["ETag"]})
    group.name = "other"
    group.save()
    changed = caller.get(f"/groups/{group.pk}", **{"If-None-Match": read["ETag"]})

    assert (same.status_code, same.content, same["ETag"]) == (304, b"", read["ETag"])
    assert (changed.status_code, changed["ETag"] == read["ETag"]) == (200, False)


@pytest.mark.parametrize("known", ["W/{etag}", '"0", W/{etag}', "*"])
def test_what_is_read_is_known_by_a_weak_tag_as_well(caller, known):
    etag = caller.get("/tenant")["ETag"]

    assert caller.get("/tenant", **{"If-None-Match": known.replace("{etag}", etag)}).status_code == 304


def test_a_change_that_starts_from_what_is_there_is_made(caller):
    version = caller.get("/tenant")["ETag"]

    changed = caller("PATCH", "/tenant", {"title": "Acme"}, **{"If-Match": version})

    assert (changed.status_code, changed.json()["title"]) == (200, "Acme")


def test_a_change_that_starts_from_something_else_changes_nothing(caller):
    version = caller.get("/tenant")["ETag"]
    caller("PATCH", "/tenant", {"title": "first"})

    stale = caller("PATCH", "/tenant", {"title": "second"}, **{"If-Match": version})

    assert (stale.status_code, stale.json()["code"]) == (412, "precondition.failed")
    assert stale.json()["etag"] == caller.get("/tenant")["ETag"]
    assert (Tenant.objects.get(pk=caller.tenant.pk).title, Entry.objects.count()) == ("first", 1)


@pytest.mark.parametrize("wanted", ["*", '"0", {etag}', "{etag}"])
def test_any_version_of_several_will_do(caller, wanted):
    etag = caller.get("/tenant")["ETag"]

    assert caller("PATCH", "/tenant", {}, **{"If-Match": wanted.replace("{etag}", etag)}).status_code == 200


def test_what_is_done_to_a_resource_starts_from_its_version(tenant, caller):
    group = make_group(tenant)
    path, version = f"/groups/{group.pk}/block-list", caller.get(f"/groups/{group.pk}")["ETag"]
    Group.objects.update(name="renamed meanwhile")

    stale = caller.post(path, {"reason": "Press."}, **{"If-Match": version})
    fresh = caller.post(path, {"reason": "Press."}, **{"If-Match": caller.get(f"/groups/{group.pk}")["ETag"]})

    assert (stale.status_code, fresh.status_code) == (412, 200)


def test_below_a_resource_its_version_counts_however_deep(tenant, caller):
    make_vehicle(tenant, "VIN1")
    version = caller.get("/vehicles/VIN1")["ETag"]
    Vehicle.objects.update(last_contact_at=NOON)

    stale = caller.post("/vehicles/VIN1/credentials/revoke", {"reason": "Lost."}, **{"If-Match": version})

    assert (stale.status_code, Entry.objects.count()) == (412, 0)


def test_where_nothing_has_a_version_no_change_starts_from_one(caller):
    refused = caller.post("/groups", {"name": "north"}, **{"If-Match": '"1"'})

    assert (refused.status_code, refused.json()["code"]) == (412, "precondition.failed")
    assert not Group.objects.exists()


# Addresses without an id, and names that a tenant gives: what `things_of` has no need to know.
OTHERS = {"attributes/<str:name>": "/attributes/owner"}
CHANGES = [
    (method, str(pattern.pattern), pattern.callback.view_class)
    for pattern in urls.urlpatterns
    for method in ("POST", "PUT", "PATCH", "DELETE")
    if issubclass(pattern.callback.view_class, TenantView) and hasattr(pattern.callback.view_class, method.lower())
]
OVERWRITES = [(method, route, view) for method, route, view in CHANGES if method != "POST"]
BELOW = [(method, route) for method, route, view in CHANGES if "<" in route and not view.compares_version]


def address(route, things):
    return OTHERS.get(route) or (filled(route, things) if "<" in route else f"/{route}")


@pytest.fixture
def things(tenant):
    Attribute.objects.create(tenant=tenant, name="owner", type="text")
    return things_of(tenant)


def test_what_overwrites_names_the_version_that_it_overwrites(tenant, caller, things):
    entries, found = Entry.objects.count(), {}

    for method, route, view in OVERWRITES:
        if view.compares_version:
            continue
        body = body_of(method, route)
        unnamed = caller(method, address(route, things), body, **{"If-Match": ""})
        stale = caller(method, address(route, things), body, **{"If-Match": '"0"'})
        found[method, route] = unnamed.status_code, unnamed.json()["code"], stale.status_code

    assert len(found) > 7
    assert {cell: told for cell, told in found.items() if told != (428, "precondition.required", 412)} == {}
    assert Entry.objects.count() == entries


def test_what_names_a_version_otherwise_is_known():
    otherwise = {route for method, route, view in OVERWRITES if view.compares_version}

    assert otherwise == {
        "campaigns/<int:pk>",
        "packages/<int:pk>/content",
        "trust/<str:repository>/root",
        "trust/image/targets",
        "trust/<str:repository>/<str:role>",
    }


def test_every_change_of_what_there_is_is_refused_where_it_starts_from_another_version(tenant, caller, things):
    entries, wrong = Entry.objects.count(), {}

    for method, route in BELOW:
        headers = {"If-Match": '"0"', "Upload-Offset": "0"}
        answer = caller(method, address(route, things), body_of(method, route), **headers)
        if answer.status_code != 412:
            wrong[method, route] = answer.status_code, answer.content

    assert wrong == {}
    assert Entry.objects.count() == entries
