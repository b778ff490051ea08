"""What a person's hands do to the console in a browser: keys, presses twice over, and sessions that end meanwhile."""

import re
import time
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from otaserver import clock
from otaserver.campaigns import operations as operations_of_campaigns
from otaserver.campaigns.models import Decision
from otaserver.events import operations as events
from otaserver.events.models import Endpoint
from otaserver.people import operations
from otaserver.people.models import Invitation, PersonalToken
from otaserver.tenants.models import Member, ServiceToken, User
from otaserver.tenants.states import Role
from tests.console.conftest import PASSWORD, make_campaign, make_member
from tests.factories import make_tenant
from tests.people.people_factories import ROOT, grantor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


@pytest.fixture
def north():
    tenant = make_tenant("north")
    make_member(tenant, Role.ADMINISTRATOR)
    return tenant


@pytest.fixture
def go(page, live_server):
    """Sign in, and return what opens a page of the console."""
    page.set_default_timeout(8000)
    page.goto(f"{live_server.url}/console/login/")
    page.get_by_label("Username").fill("mia")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button").filter(has_text="Log in").click()
    page.wait_for_load_state("networkidle")

    def open_page(path):
        page.goto(f"{live_server.url}/console/{path}")
        page.wait_for_load_state("networkidle")
        return page

    return open_page


def tab_to(page, element, *, most=80):
    for _ in range(most):
        if element.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"The keyboard does not reach {element}.")


def test_enter_in_a_field_does_what_its_form_is_for_and_nothing_to_a_row(north, go):
    at = clock.now()
    go("").on("dialog", lambda dialog: dialog.accept())
    member, ends = Member.objects.get(), at + timedelta(days=9)
    operations.issue_personal_token(member, name="laptop", by=grantor(member), at=at, expires_at=ends)
    operations.issue_service_token(north, name="ci", role=Role.VIEWER, by=ROOT, at=at)
    operations.invite(north, role=Role.VIEWER, by=ROOT, at=at)

    for path, field in (("profile/", "name"), ("tokens/", "name"), ("members/", "email")):
        page = go(path)
        page.locator(f"#id_{field}").fill("other@example.com")
        page.keyboard.press("Enter")
        expect(page.locator("li.break-all")).to_be_visible()

    for model in (PersonalToken, ServiceToken, Invitation):
        assert (model, model.objects.filter(revoked_at=None).count()) == (model, 2)


@pytest.mark.parametrize("width", [1440, 820])
def test_the_menus_are_opened_by_the_keyboard(north, go, width):
    page = go("keys/")
    page.set_viewport_size({"width": width, "height": 900})
    vehicles, log_out = page.get_by_role("link", name="Vehicles"), page.get_by_role("button", name="Log out")
    if width < 1280:
        expect(vehicles).to_be_hidden()
        tab_to(page, page.get_by_role("button", name="Menu", exact=True))
        page.keyboard.press("Enter")
    expect(vehicles).to_be_visible()
    expect(log_out).to_be_hidden()
    tab_to(page, page.get_by_role("button", name="mia"))
    page.keyboard.press("Space")
    dark = page.get_by_role("button", name="Dark")
    expect(dark).to_be_visible()
    tab_to(page, dark)
    page.keyboard.press("Enter")
    expect(page.locator("html.dark")).to_have_count(1)
    tab_to(page, log_out)


def test_filters_and_tabs_are_used_by_the_keyboard(north, go):
    campaign = make_campaign(north)
    page = go("campaigns/assignment/")
    tab_to(page, page.get_by_role("button", name="Filters"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="failed"), most=20)
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)

    page = go(f"campaigns/campaign/{campaign.pk}/change/")
    expect(page.get_by_text("Max attempts")).to_be_hidden()
    tab_to(page, page.get_by_role("tab", name="Vehicles"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Max attempts")).to_be_visible()
    expect(page.get_by_role("tab", selected=True)).to_have_text("Vehicles")


def test_enter_in_a_step_of_a_plan_goes_on_with_what_was_written(north, go):
    page = go("campaigns/new/waves/")
    page.locator("#id_form-0-size").fill("3")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/gate/"))
    page = go("campaigns/new/when/")
    page.get_by_label("Offers per minute, at most").fill("0")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(page.locator("[id$=-weekdays]")).to_have_count(2)


def test_what_is_pressed_twice_is_sent_once(north, go, monkeypatch):
    make = events.create_endpoint

    def make_slowly(*args, **more):
        time.sleep(1)
        return make(*args, **more)

    monkeypatch.setattr(events, "create_endpoint", make_slowly)
    page = go("webhooks/new/")
    page.get_by_label("Address").fill("https://example.com/")
    page.get_by_role("button", name="Make a webhook").evaluate(
        "each => { each.click(); setTimeout(() => each.click(), 300); }"
    )
    expect(page.locator("#shown-once")).to_be_visible()
    assert Endpoint.objects.count() == 1

    page.go_back()
    page.get_by_label("Address").fill("https://example.org/")
    page.get_by_role("button", name="Make a webhook").click()
    expect(page.locator("#shown-once")).to_be_visible()
    assert Endpoint.objects.count() == 2


def test_whoever_was_signed_out_meanwhile_is_told_so_where_they_are(north, go):
    campaign = make_campaign(north)
    page = go(f"campaigns/{campaign.pk}/")
    operations.end_sessions(User.objects.get())
    expect(page.get_by_text("You are signed out")).to_be_visible()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_whoever_reads_in_the_record_of_decisions_stays_where_they_read(north, go):
    campaign = make_campaign(north)
    for number in range(40):
        Decision.objects.create(
            campaign=campaign, at=clock.now(), kind="campaign.paused", actor="mia", sentence=f"Reason {number}."
        )
    page = go(f"campaigns/{campaign.pk}/")
    page.locator(".c-decisions").evaluate("each => { each.scrollTop = 200; }")
    operations_of_campaigns.pause_campaign(campaign, by="other", at=clock.now())
    expect(page.locator(".c-room-head .c-state")).to_have_text("paused")
    assert page.locator(".c-decisions").evaluate("each => each.scrollTop") == 200


def test_a_preview_never_shows_another_page(north, go):
    page = go("groups/new/")
    operations.end_sessions(User.objects.get())
    page.get_by_label("Filter").press_sequentially("blocked = True")
    expect(page.locator("[data-follows]")).to_contain_text("You are signed out")
    assert page.locator("[data-follows] form").count() == 0


def test_an_upload_of_whoever_was_signed_out_says_so(north, go):
    page = go("packages/new/")
    operations.end_sessions(User.objects.get())
    page.get_by_label("File").set_input_files({"name": "a.bin", "mimeType": "application/octet-stream", "buffer": b"a"})
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#upload-error")).to_contain_text("You were signed out.")


def test_the_emergency_stop_stays_in_sight(north, go):
    page = go(f"campaigns/{make_campaign(north).pk}/")
    page.set_viewport_size({"width": 820, "height": 600})
    page.mouse.wheel(0, 5000)
    page.wait_for_timeout(200)
    expect(page.get_by_role("link", name="Emergency stop")).to_be_in_viewport()
