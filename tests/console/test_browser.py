"""The console as a person sees it. Set OTA_TEST_SCREENSHOTS to a folder to keep what the browser showed."""

import os
from pathlib import Path

import pytest

from otaserver.tenants.states import Role
from tests.console.conftest import PASSWORD, make_campaign, make_member
from tests.factories import make_tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


@pytest.fixture
def console(page, live_server):
    """Sign in through the form and return a function that opens a page of the console."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda answer: errors.append(answer.url) if answer.status >= 400 else None)

    def open_page(path, *, username):
        page.goto(f"{live_server.url}/console/{path}")
        if "/login/" in page.url:
            page.get_by_label("Username").fill(username)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button").filter(has_text="Log in").click()
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    assert errors == []


def keep(page, name):
    folder = os.environ.get("OTA_TEST_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_the_overview_leads_to_a_campaign_and_from_there_to_its_failed_vehicle(console):
    tenant = make_tenant("north")
    make_member(tenant, Role.AUDITOR)
    make_campaign(tenant)

    page = console("", username="mia")
    keep(page, "overview")
    page.get_by_role("link", name="autumn rollout").click()
    page.wait_for_load_state("networkidle")
    keep(page, "campaign")
    first_wave = page.locator("tr", has=page.get_by_text("25 %"))
    first_wave.get_by_role("link").nth(2).click()
    page.wait_for_load_state("networkidle")
    keep(page, "assignments")

    rows = page.locator("#result_list tbody tr")
    assert rows.count() == 1
    assert "failed" in rows.inner_text().lower()


LISTS = [
    "campaigns/campaign/",
    "campaigns/assignment/",
    "campaigns/blackout/",
    "fleet/vehicle/",
    "firmware_store/package/",
    "firmware_store/release/",
    "audit/entry/",
]


def test_every_list_opens_and_leads_to_a_page_without_anything_to_change(console):
    tenant = make_tenant("north")
    make_member(tenant, Role.AUDITOR)
    make_campaign(tenant)

    for path in LISTS:
        page = console(path, username="mia")
        keep(page, path.strip("/").replace("/", "-") + "-list")
        page.locator("#result_list tbody tr a").first.click()
        page.wait_for_load_state("load")
        keep(page, path.strip("/").replace("/", "-") + "-page")

        assert (path, page.get_by_role("button", name="Save").count()) == (path, 0)
        assert (path, page.get_by_role("link", name="Delete").count()) == (path, 0)
