"""Webhooks in the console: made, changed, held, given a new secret, and delivered to again."""

import pytest

from otaserver.audit.models import Entry
from otaserver.events.models import Delivery, Endpoint
from otaserver.tenants.states import Role
from tests.console.conftest import make_campaign, make_member, signed_in
from tests.console.test_writes import told
from tests.factories import make_tenant

pytestmark = pytest.mark.any_database
ADDRESS = "https://ops.example.com/events"


@pytest.fixture
def admin(tenant):
    return signed_in(make_member(tenant, Role.ADMINISTRATOR))


@pytest.fixture
def endpoint(tenant):
    """One to which an event of a campaign is on its way."""
    make_campaign(tenant)
    return Endpoint.objects.get()


def page(endpoint, name=""):
    return f"/console/webhooks/{endpoint.pk}/{name}"


def links(client, path):
    answer = client.get(path)
    return [str(label) for label, _ in answer.context["row_links"]]


def actions():
    return list(Entry.objects.order_by("-pk").values_list("action", flat=True))


def test_a_webhook_is_made_and_its_secret_is_shown_once(tenant, admin):
    given = {"url": ADDRESS, "description": "Pager", "types": ["wave.*", "campaign.halted"]}

    made = admin.post("/console/webhooks/new/", given)

    row, secret = Endpoint.objects.get(), made.context["text"]
    assert (row.tenant, row.url, row.description, row.types, row.created_by) == (
        *(tenant, ADDRESS, "Pager"),
        *(["campaign.halted", "wave.*"], "mia"),
    )
    assert (made.status_code, secret.startswith("whsec_"), secret in made.content.decode()) == (200, True, True)
    assert "no-store" in made["Cache-Control"]
    shown = admin.get(f"/console/events/endpoint/{row.pk}/change/").content.decode()
    assert (secret in shown, row.salt in shown) == (False, False)
    assert actions()[0] == "webhook.created"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"url": "https://10.0.0.1/"}, "10.0.0.1 is no public address."),
        ({"types": ["moon.*"]}, "moon.*"),
        ({"url": ""}, "required"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_and_nothing_is_made(tenant, admin, changed, words):
    answer = admin.post("/console/webhooks/new/", {"url": ADDRESS, **changed})

    assert (answer.status_code, words in str(answer.context["form"].errors)) == (422, True)
    assert not Endpoint.objects.exists()


def test_what_is_changed_of_a_webhook_is_recorded_alone(tenant, admin, endpoint):
    asked = admin.get(page(endpoint))
    done = admin.post(page(endpoint), {"url": ADDRESS, "description": "", "types": ["wave.*"]})

    assert told(asked) == [(1, "deliveries wait, and go to the new address")]
    assert asked.context["form"]["url"].value() == "https://example.com/"
    assert done.status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.types) == (ADDRESS, ["wave.*"])
    entry = Entry.objects.latest("pk")
    assert (entry.action, entry.details) == ("webhook.changed", {"url": ADDRESS, "types": ["wave.*"]})


def test_a_webhook_is_paused_with_a_reason_resumed_and_removed(tenant, admin, endpoint):
    row = f"/console/events/endpoint/{endpoint.pk}/change/"
    every = ["Change", "Send a test", "Deliver again", "New secret", "Pause", "Resume", "Remove"]

    assert links(admin, row) == [each for each in every if each != "Resume"]
    assert admin.post(page(endpoint, "pause/"), {"reason": " "}).status_code == 422
    assert admin.post(page(endpoint, "pause/"), {"reason": "They move house."}).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.reason) == ("paused", "They move house.")
    assert links(admin, row) == ["Change", "New secret", "Resume", "Remove"]
    assert admin.post(page(endpoint, "test/")).status_code == 409
    assert admin.post(page(endpoint, "resume/")).status_code == 302
    assert told(admin.get(page(endpoint, "remove/"))) == [(1, "deliveries wait, and are given up")]
    assert admin.post(page(endpoint, "remove/")).status_code == 302
    assert (links(admin, row), admin.get(page(endpoint)).status_code) == ([], 404)
    assert actions()[:3] == ["webhook.removed", "webhook.resumed", "webhook.paused"]
    assert Delivery.objects.get().state == "failed"


def test_a_new_secret_is_shown_once_and_the_old_one_signs_for_a_day(tenant, admin, endpoint):
    old = endpoint.salt

    answer = admin.post(page(endpoint, "secret/"))

    endpoint.refresh_from_db()
    assert (answer.status_code, answer.context["text"][:6], endpoint.previous_salt) == (200, "whsec_", old)
    assert endpoint.salt != old


def test_what_happened_is_delivered_again_by_span_by_event_and_as_a_test(tenant, admin, endpoint):
    delivery = Delivery.objects.get()
    at = delivery.event.at
    span = {"since": at.strftime("%Y-%m-%dT%H:%M"), "until": at.replace(hour=at.hour + 1).strftime("%Y-%m-%dT%H:%M")}

    wrong = admin.post(page(endpoint, "replay/"), {"since": span["until"], "until": span["since"]})
    assert (wrong.status_code, Delivery.objects.count()) == (422, 1)
    assert admin.post(page(endpoint, "replay/"), span).status_code == 302
    assert admin.post(f"/console/deliveries/{delivery.pk}/replay/").status_code == 302
    assert admin.post(page(endpoint, "test/")).status_code == 302

    made = Delivery.objects.exclude(pk=delivery.pk).order_by("pk").values_list("event__type", "is_replay")
    assert list(made) == [("campaign.started", True), ("campaign.started", True), ("webhook.test", False)]
    shown = admin.get(f"/console/events/endpoint/{endpoint.pk}/change/").content.decode()
    assert f"/console/events/delivery/{delivery.pk}/change/" in shown
    assert links(admin, f"/console/events/delivery/{delivery.pk}/change/") == ["Deliver again"]


def test_whoever_only_audits_is_shown_no_button(tenant, endpoint):
    auditor = signed_in(make_member(tenant, Role.AUDITOR))

    assert links(auditor, f"/console/events/endpoint/{endpoint.pk}/change/") == []
    assert "/console/webhooks/new/" not in auditor.get("/console/events/endpoint/").content.decode()


def test_an_address_of_another_tenants_webhook_leads_nowhere(tenant, admin, endpoint):
    make_campaign(make_tenant("south"))
    theirs = Endpoint.objects.get(tenant__name="south")

    assert [admin.post(page(theirs, name)).status_code for name in ("remove/", "secret/")] == [404, 404]
    assert Endpoint.objects.get(pk=theirs.pk).state == "active"
