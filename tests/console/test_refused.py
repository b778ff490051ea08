"""What people meet who may not, come too late, or look for what is not there; and what their pages do not lead to."""

import pytest
from django.test import Client

from otaserver.campaigns.models import Decision
from otaserver.campaigns.states import WaveState
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Role
from tests.console.conftest import PASSWORD, make_member, signed_in
from tests.console.test_matrix import things_of
from tests.console.test_writes import settings_of
from tests.factories import NOON

pytestmark = pytest.mark.any_database
CHINESE = {"Accept-Language": "zh-hans"}


def test_a_refusal_is_a_page_of_the_console_that_says_why_and_leads_on(tenant, campaign):
    viewer = signed_in(make_member(tenant))

    denied = viewer.get(f"/console/campaigns/{campaign.pk}/pause/")
    missing = viewer.get("/console/campaigns/999/")

    assert (denied.status_code, missing.status_code) == (403, 404)
    assert "This needs the permission manage_campaigns in north." in denied.content.decode()
    assert "There is nothing here" in missing.content.decode()
    for answer in (denied, missing):
        assert 'href="/console/fleet/vehicle/"' in answer.content.decode()
    chinese = viewer.get(f"/console/campaigns/{campaign.pk}/pause/", headers=CHINESE).content.decode()
    assert "需要" in chinese
    assert "This needs" not in chinese


def test_a_form_from_before_a_new_sign_in_says_what_to_do(tenant):
    make_member(tenant, Role.ADMINISTRATOR)
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/console/login/", {"username": "mia", "password": PASSWORD})

    assert answer.status_code == 403
    assert "Nothing was done: go back, load it again" in answer.content.decode()


def test_nobody_is_led_to_where_they_are_refused(tenant):
    things = things_of(tenant)
    for role in Role.values:
        client = signed_in(make_member(tenant, role, username=role))
        page = client.get("/console/").content.decode()
        decide = f"/console/campaigns/{things.campaign.pk}/waves/1/decide/"
        assert (role, decide in page) == (role, client.get(decide).status_code == 200)


def test_a_plan_is_offered_to_whoever_may_make_one(tenant):
    for role, is_offered in ((Role.VIEWER, False), (Role.CAMPAIGN_MANAGER, True)):
        page = signed_in(make_member(tenant, role, username=role)).get("/console/").content.decode()
        assert ("Plan one" in page) == is_offered


def test_seen_are_of_those_who_are_enrolled_and_lead_to_as_many(tenant, campaign):
    Vehicle.objects.update(last_contact_at="2999-01-01T00:00Z")
    gone = Vehicle.objects.first()
    gone.enrolled_at, gone.decommissioned_at = None, NOON
    gone.save()
    client = signed_in(make_member(tenant))

    figures = {each.title: each for each in client.get("/console/").context["dashboard"].figures}

    enrolled, seen = figures["Vehicles enrolled"], figures["Seen in the last day"]
    assert seen.value == enrolled.value == Vehicle.objects.count() - 1
    assert client.get(seen.address).context["cl"].result_count == seen.value


def test_failures_of_a_code_lead_to_those_alone(tenant, campaign):
    first, *others = campaign.assignments.order_by("pk")
    for assignment, code in ((first, "health_failed"), (others[0], "health_failed_late")):
        assignment.state, assignment.code = "failed", code
        assignment.save()
    client = signed_in(make_member(tenant))

    page = client.get(f"/console/campaigns/campaign/{campaign.pk}/change/").content.decode()

    link = f"?campaign__id__exact={campaign.pk}&amp;state__exact=failed&amp;code__exact=health_failed"
    assert f'{link}"' in page
    listed = client.get("/console/campaigns/assignment/" + link.replace("&amp;", "&"))
    assert listed.context["cl"].result_count == 1


def test_what_a_wave_asks_is_told_in_the_viewers_language(tenant, campaign):
    wave = campaign.waves.get(number=1)
    wave.state = WaveState.UNDECIDED
    wave.save()
    Decision.objects.create(
        campaign=campaign, wave=wave, at=NOON, kind="wave.undecided", actor="engine", sentence="The test has passed."
    )
    manager = signed_in(make_member(tenant, Role.CAMPAIGN_MANAGER))

    asked = manager.get(f"/console/campaigns/{campaign.pk}/waves/1/decide/", headers=CHINESE)

    assert asked.status_code == 200
    assert "The test has passed." not in asked.content.decode()


def test_an_assignment_is_called_in_the_viewers_language(tenant, campaign):
    row = campaign.assignments.select_related("vehicle", "campaign").first()
    page = signed_in(make_member(tenant)).get(f"/console/campaigns/assignment/{row.pk}/change/", headers=CHINESE)

    assert str(row) not in page.content.decode()
    assert f"autumn rollout 中的 {row.vehicle}" in page.content.decode()


def test_what_somebody_else_has_changed_meanwhile_is_not_changed_back(tenant):
    """A page of settings that has stood open sends what its person has changed; the rest is as it is by now."""
    admin = signed_in(make_member(tenant, Role.ADMINISTRATOR))
    form = admin.get("/console/settings/").context["form"]
    shown = {f"initial-{name}": form.initial.get(name) for name in form.fields}
    sent = {name: value for name, value in shown.items() if value not in (None, False)}
    sent |= settings_of(tenant, title="The north")
    Tenant.objects.filter(pk=tenant.pk).update(polling_seconds=77)

    asked = admin.post("/console/settings/", sent)
    done = admin.post("/console/settings/", {**sent, "confirmed": "1"})

    assert [value for _, value in asked.context["facts"]] == ["North → The north"]
    changed = Tenant.objects.get()
    assert (done.status_code, changed.title, changed.polling_seconds) == (302, "The north", 77)
