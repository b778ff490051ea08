"""ETag, If-None-Match and If-Match, the same everywhere."""

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet.models import Group, Vehicle
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_group, make_vehicle

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
