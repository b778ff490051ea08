"""What is sent twice with one key is done once."""

from datetime import timedelta

import pytest

from otaserver import clock
from otaserver.audit.models import Entry
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.authentication_models import TenantToken
from otaserver.fleet.models import Group
from otaserver.operator_api.views.base import TenantView
from otaserver.operator_api.views.fleet import GroupList
from otaserver.tenants import kept_answers
from otaserver.tenants.answer_models import KeptAnswer
from tests.factories import NOON
from tests.operator_api import fuzz
from tests.operator_api.conftest import make_caller

pytestmark = pytest.mark.any_database

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
SECRETS = {
    "addresses",
    "token",
    "link",
    "claim_code",
    "claim_codes",
    "archive",
    "secret",
    "password",
    "recovery_codes",
    "private_key",
}


def test_the_same_request_again_gets_the_same_answer_and_does_nothing(caller):
    first = caller.post("/groups", {"name": "north"}, **KEY)
    again = caller.post("/groups", {"name": "north"}, **KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert (first.get("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (None, "true")
    assert (Group.objects.count(), Entry.objects.count()) == (1, 1)


def test_a_refusal_is_repeated_too(caller):
    first = caller.post("/groups", {"name": ""}, **KEY)

    again = caller.post("/groups", {"name": ""}, **KEY)

    assert (first.status_code, again.status_code) == (422, 422)
    assert (again.json(), again["Content-Type"]) == (first.json(), "application/problem+json")


@pytest.mark.parametrize(("path", "body"), [("/groups", {"name": "south"}), ("/groups/preview", {"name": "north"})])
def test_another_request_with_the_same_key_is_refused(caller, path, body):
    caller.post("/groups", {"name": "north"}, **KEY)

    other = caller.post(path, body, **KEY)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency.body_differs")
    assert Group.objects.count() == 1


def test_members_may_come_in_another_order(caller):
    caller.post("/groups", {"name": "north", "filter": ""}, **KEY)

    assert caller.post("/groups", {"filter": "", "name": "north"}, **KEY).status_code == 201


def test_a_key_is_one_callers_own(tenant, caller, stranger):
    other = make_caller(tenant, "fleet_manager")

    answers = [
        each.post("/groups", {"name": name}, **KEY) for each, name in ((caller, "a"), (other, "b"), (stranger, "c"))
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert Group.objects.count() == 3


def test_what_is_not_answered_yet_is_a_conflict_until_it_is_lost(tenant, caller):
    kept_answers.begin(tenant, "token:a administrator", KEY["Idempotency-Key"], request_sha256="0" * 64, at=NOON)

    busy = caller.post("/groups", {"name": "north"}, **KEY)
    with clock.using(lambda: NOON + kept_answers.LOST_AFTER):
        taken_over = caller.post("/groups", {"name": "north"}, **KEY)

    assert (busy.status_code, busy.json()["code"], busy["Retry-After"]) == (409, "idempotency.in_flight", "1")
    assert taken_over.status_code == 201


def test_of_two_who_take_over_what_was_lost_one_does(tenant):
    kept_answers.begin(tenant, "a", "k", request_sha256="0" * 64, at=NOON)
    later = NOON + kept_answers.LOST_AFTER

    assert kept_answers.begin(tenant, "a", "k", request_sha256="1" * 64, at=later).status is None
    with pytest.raises(kept_answers.RequestInFlightError):
        kept_answers.begin(tenant, "a", "k", request_sha256="1" * 64, at=later)


def test_after_a_day_a_key_is_new(caller):
    caller.post("/groups", {"name": "north"}, **KEY)

    with clock.using(lambda: NOON + timedelta(hours=24)):
        assert caller.post("/groups", {"name": "south"}, **KEY).status_code == 201


def test_a_day_old_answers_are_deleted_and_no_others(tenant):
    for hours in (0, 23, 24, 30):
        kept_answers.begin(tenant, "a", str(hours), request_sha256="0" * 64, at=NOON - timedelta(hours=hours))

    assert [kept_answers.prune(at=NOON), kept_answers.prune(at=NOON)] == [2, 0]
    assert sorted(KeptAnswer.objects.values_list("key", flat=True)) == ["0", "23"]


def test_who_may_not_do_it_leaves_the_key_unused(as_role):
    viewer = as_role("viewer")

    assert viewer.post("/groups", {"name": "north"}, **KEY).status_code == 403
    assert not KeptAnswer.objects.exists()


def test_a_bug_leaves_nothing_and_the_key_free(caller, monkeypatch):
    def fail(view, request):
        Group.objects.create(tenant=caller.tenant, name="half", kind="static", created_at=NOON)
        raise ZeroDivisionError

    monkeypatch.setattr(GroupList, "post", fail)
    with pytest.raises(ZeroDivisionError):
        caller.post("/groups", {"name": "north"}, **KEY)

    assert (Group.objects.count(), KeptAnswer.objects.count()) == (0, 0)


def test_a_secret_is_done_once_and_kept_nowhere(caller):
    first = caller.post("/tenant-tokens", {"name": "line"}, **KEY)
    again = caller.post("/tenant-tokens", {"name": "line"}, **KEY)

    assert (first.status_code, again.status_code) == (201, 409)
    assert (again.json()["code"], again.json()["status_then"]) == ("idempotency.secret_not_kept", 201)
    assert (TenantToken.objects.count(), bytes(KeptAnswer.objects.get().body)) == (1, b"")


def test_every_answer_that_shows_a_secret_says_so():
    schemas = fuzz.document()["components"]["schemas"]
    showing = set()
    for view in _views_with_post():
        names = {name for schema in _answers_of(view) for name in schemas[schema]["properties"]}
        if names & SECRETS:
            showing.add(view)

    assert {view.__name__ for view in showing} == {view.__name__ for view in _views_with_post() if view.shows_secret}
    assert showing


def _views_with_post():
    from otaserver.operator_api import urls

    views = [pattern.callback.view_class for pattern in urls.urlpatterns]
    return [view for view in views if issubclass(view, TenantView) and hasattr(view, "post")]


def _answers_of(view):
    from otaserver.operator_api import urls

    (route,) = [str(p.pattern) for p in urls.urlpatterns if p.callback.view_class is view]
    path = "/api/v1/" + route.replace("<int:pk>", "{id}").replace("<str:", "{").replace(">", "}")
    responses = fuzz.document()["paths"][path]["post"]["responses"]
    content = [responses[status].get("content", {}) for status in ("200", "201") if status in responses]
    refs = [each["application/json"]["schema"].get("$ref", "") for each in content if "application/json" in each]
    return [ref.rpartition("/")[2] for ref in refs if ref]


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a\x7fb"])
def test_a_key_that_is_none_is_refused(caller, key):
    refused = caller.post("/groups", {"name": "north"}, **{"Idempotency-Key": key})

    assert (refused.status_code, refused.json()["code"]) == (400, "header.invalid")
    assert not Group.objects.exists()


def test_a_file_is_taken_in_once(caller):
    def send(body):
        return caller("POST", "/imports?kind=csv", body, content_type="application/octet-stream", **KEY)

    first, again, other = send(b"vehicle_id\nVIN1\n"), send(b"vehicle_id\nVIN1\n"), send(b"vehicle_id\nVIN2\n")

    assert (first.status_code, again.json(), other.json()["code"]) == (201, first.json(), "idempotency.body_differs")
    assert FleetImport.objects.count() == 1
