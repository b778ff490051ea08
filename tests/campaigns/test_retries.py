"""Attempts with a pause that doubles and a cap; what the server itself shed is none of them."""

from datetime import timedelta

import pytest

from otaserver.campaigns.rules.failures import SHED_CODES
from tests.campaigns.campaign_factories import at, attempt_of, in_turn, make_running, report, states, tick

pytestmark = pytest.mark.django_db


def fail_download(campaign, code, when):
    tick(campaign, when)
    (assignment,) = in_turn(campaign)
    assert assignment.state == "offered"
    report(assignment, "finished", "failure", code, at=when)
    return assignment


@pytest.mark.parametrize("code", ["download_failed", "network", "disk_full"])
def test_what_may_pass_is_tried_again_after_pauses_that_double_up_to_the_cap(code):
    campaign = make_running(vehicles=1, retry_seconds=3600, max_attempts=3)

    first = fail_download(campaign, code, at())
    assert (first.state, first.next_attempt_at) == ("waiting", at(hours=1))
    tick(campaign, at(minutes=59))
    assert states(campaign) == ["waiting"]
    second = fail_download(campaign, code, at(hours=1))
    assert (second.state, second.next_attempt_at) == ("waiting", at(hours=3))
    last = fail_download(campaign, code, at(hours=3))

    assert (last.state, last.code, attempt_of(last).number) == ("lapsed", code, 3)


@pytest.mark.parametrize("code", sorted(SHED_CODES))
def test_what_the_server_shed_never_counts_as_an_attempt(code):
    campaign = make_running(vehicles=1, retry_seconds=3600, max_attempts=1)

    for hours in range(5):
        assignment = fail_download(campaign, code, at(hours=hours))
        assert (assignment.state, assignment.next_attempt_at) == ("waiting", at(hours=hours + 1))
        assert attempt_of(assignment).outcome == "none"
    assert fail_download(campaign, "download_failed", at(hours=5)).state == "lapsed"


def test_a_vehicle_that_is_shed_for_ever_ends_with_the_campaigns_patience():
    campaign = make_running(vehicles=1, offer_timeout_seconds=3600, download_timeout_seconds=3600, retry_seconds=60)

    early = fail_download(campaign, "server.busy", at(hours=2) - timedelta(minutes=90))
    assert early.state == "waiting"
    late = fail_download(campaign, "server.busy", at(hours=2))

    assert (late.state, late.code) == ("lapsed", "server.busy")
