"""What every list and page of the console keeps to, whoever looks."""

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from otaserver.audit.models import Entry
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.console.site import site
from otaserver.events.models import Endpoint
from otaserver.fleet.models import Vehicle
from otaserver.fleet.protocol_models import GatewayToken
from otaserver.tenants.models import User
from otaserver.tenants.states import Role
from tests.console.conftest import PASSWORD, make_campaign, make_member, signed_in
from tests.factories import make_tenant

MODELS = sorted(site._registry, key=lambda model: model.__name__)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


def address(model, page="", pk=None):
    base = f"/console/{model._meta.app_label}/{model._meta.model_name}/"
    return base if not page else f"{base}{page}/" if pk is None else f"{base}{pk}/{page}/"


def queries_of(client, path):
    client.get(path)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        answer = client.get(path)
    assert answer.status_code == 200
    return len(captured)


@every_model
def test_a_list_takes_as_many_queries_for_three_campaigns_as_for_one(tenant, campaign, model):
    client = signed_in(make_member(tenant, Role.AUDITOR))
    with_one = queries_of(client, address(model))
    make_campaign(tenant, name="second")
    make_campaign(tenant, name="third")

    assert queries_of(client, address(model)) == with_one


@pytest.mark.parametrize("model", [Campaign, Vehicle])
def test_a_page_takes_as_many_queries_in_a_larger_campaign(tenant, model):
    client = signed_in(make_member(tenant, Role.AUDITOR))
    small = make_campaign(tenant, name="small", vehicles=3)
    large = make_campaign(tenant, name="large", vehicles=9)
    rows = {
        Campaign: (small, large),
        Vehicle: (small.assignments.first().vehicle, large.assignments.first().vehicle),
    }[model]

    counts = {queries_of(client, address(model, "change", row.pk)) for row in rows}

    assert len(counts) == 1


def test_the_overview_takes_as_many_queries_for_three_campaigns_as_for_one(tenant, campaign):
    client = signed_in(make_member(tenant, Role.AUDITOR))
    with_one = queries_of(client, "/console/")
    make_campaign(tenant, name="second")
    make_campaign(tenant, name="third")

    assert queries_of(client, "/console/") == with_one


@every_model
def test_nothing_can_be_added_changed_or_deleted_even_by_a_superuser(campaign, model):
    client = signed_in(User.objects.create_superuser("root", password=PASSWORD))
    row = model.objects.first()
    before = list(model.objects.values())

    answers = [
        client.post(address(model, "add"), {}),
        client.post(address(model, "change", row.pk), {"name": "other", "state": "cancelled"}),
        client.post(address(model, "delete", row.pk), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert list(model.objects.values()) == before


@every_model
def test_another_tenants_rows_are_neither_listed_nor_opened_nor_counted(campaign, model):
    stranger = signed_in(make_member(make_tenant("south"), Role.ADMINISTRATOR))
    row = model.objects.first()

    listed = stranger.get(address(model))
    opened = stranger.get(address(model, "change", row.pk))
    history = stranger.get(address(model, "history", row.pk))

    assert listed.context["cl"].result_count == 0
    assert (opened.status_code, opened["Location"]) == (302, "/console/")
    assert (history.status_code, history["Location"]) == (302, "/console/")


def test_nobody_finds_out_by_filtering_what_no_page_shows(tenant, campaign):
    client = signed_in(make_member(tenant, Role.ADMINISTRATOR))
    request = RequestFactory().get("/")
    hidden = {
        (model, field.name)
        for model, page in site._registry.items()
        for field in model._meta.concrete_fields
        if field.name not in page.shown_fields(request)
    }

    for model, name in hidden:
        assert client.get(address(model), {f"{name}__gte": "0"}).status_code == 400, (model, name)

    assert {(Endpoint, "salt"), (Endpoint, "previous_salt"), (GatewayToken, "sha256")} <= hidden


def test_a_superuser_sees_all_tenants(campaign):
    make_campaign(make_tenant("south"), name="southern")
    client = signed_in(User.objects.create_superuser("root", password=PASSWORD))

    listed = client.get(address(Campaign))

    assert {row.name for row in listed.context["cl"].result_list} == {"autumn rollout", "southern"}


def test_an_empty_list_says_how_there_comes_to_be_something_and_a_filtered_one_leads_to_all(tenant):
    client = signed_in(make_member(tenant, Role.ADMINISTRATOR))

    empty, filtered = (
        client.get(address(Endpoint), more).content.decode() for more in ({}, {"state__exact": "active"})
    )

    assert "ota webhook add URL" in empty
    assert "Nothing here is like that." not in empty
    assert "Show all" not in empty
    assert "Nothing here is like that." in filtered
    assert "Show all" in filtered
    assert "ota webhook add URL" not in filtered


def test_records_are_for_those_who_may_audit(tenant, campaign):
    viewer = signed_in(make_member(tenant, Role.VIEWER, "vera"))
    auditor = signed_in(make_member(tenant, Role.AUDITOR, "anna"))

    assert viewer.get(address(Entry)).status_code == 403
    assert auditor.get(address(Entry)).status_code == 200
    assert b"campaign started" not in viewer.get("/console/").content
    assert b"campaign started" in auditor.get("/console/").content
    assert b"/console/audit/entry/" not in viewer.get("/console/").content


def test_a_member_without_any_staff_flag_signs_in_and_others_do_not(tenant):
    make_member(tenant, Role.VIEWER, "vera")
    User.objects.create_user("nobody", password=PASSWORD)
    gone = make_member(tenant, Role.VIEWER, "gone")
    gone.is_active = False
    gone.save()

    found = {
        name: Client().post("/console/login/", {"username": name, "password": PASSWORD}).status_code
        for name in ("vera", "nobody", "gone")
    }

    assert found == {"vera": 302, "nobody": 200, "gone": 200}


def test_one_who_is_not_signed_in_is_asked_to(client, db):
    answer = client.get("/console/")

    assert (answer.status_code, answer["Location"]) == (302, "/console/login/?next=/console/")


def test_a_waves_numbers_lead_to_just_these_vehicles(tenant, campaign):
    client = signed_in(make_member(tenant))
    wave = campaign.waves.get(number=1)

    listed = client.get(address(Assignment), {"wave__id__exact": wave.pk, "state__in": "failed,refused"})

    assert [row.state for row in listed.context["cl"].result_list] == ["failed"]


def test_a_stopped_tenant_is_announced_on_the_overview(tenant):
    tenant.stopped_at = tenant.created_at
    tenant.stopped_reason = "brakes"
    tenant.save()

    page = signed_in(make_member(tenant)).get("/console/").content.decode()

    assert "Everything of north is stopped." in page
    assert "brakes" in page
