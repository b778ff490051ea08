from decimal import Decimal

from otaserver.tenants.states import Role
from tests.campaigns.campaign_factories import SOAK, in_turn, make_started, make_versions, succeed, tick
from tests.campaigns.health_factories import add_signals, say
from tests.console.conftest import make_member, signed_in
from tests.factories import NOON


def page_of(tenant, path):
    answer = signed_in(make_member(tenant, Role.AUDITOR)).get(f"/console/{path}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_control_room_shows_its_signals_and_the_comparison(tenant):
    release = add_signals(make_versions(tenant, "2.0"), boots=3)
    campaign = make_started(vehicles=4, tenant=tenant, release=release, control_percent=Decimal(50))
    tick(campaign)
    for assignment in in_turn(campaign):
        if assignment.state == "offered":
            succeed(assignment)
        say(assignment, boots=9)
    tick(campaign, NOON + SOAK)

    page = page_of(tenant, f"campaigns/{campaign.pk}/")

    assert "Bad above" in page
    assert "Against the vehicles held out" in page
    assert page.count("2 of 2") == 2


def test_a_campaign_without_signals_has_no_such_tables(tenant):
    page = page_of(tenant, f"campaigns/{make_started(vehicles=1, tenant=tenant).pk}/")

    assert "Bad above" not in page
    assert "Against the vehicles held out" not in page


def test_a_releases_page_shows_its_signals(tenant):
    release = add_signals(make_versions(tenant, "2.0"), boots=3.5)

    page = page_of(tenant, f"firmware_store/release/{release.pk}/change/")

    assert "Health signals" in page
    assert "3.5" in page
