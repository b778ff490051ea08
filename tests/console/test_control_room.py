"""The control room: its numbers, who may do what in it, and that nothing is done but what was confirmed."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver import clock
from otaserver.audit.models import Entry
from otaserver.campaigns import operations, queries
from otaserver.campaigns.forecast_models import CampaignForecast
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.states import AssignmentState, CampaignState, WaveState
from otaserver.console.pages import actions, control_room, effects
from otaserver.console.templatetags.console import duration
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Role
from tests.console.conftest import make_campaign, make_member, signed_in
from tests.factories import NOON, make_tenant

pytestmark = pytest.mark.any_database
LIVE = {"X-Requested-With": "fragment"}


@pytest.fixture
def manager(tenant):
    return signed_in(make_member(tenant, Role.CAMPAIGN_MANAGER))


def room(campaign, name=""):
    return f"/console/campaigns/{campaign.pk}/{name}{'/' if name else ''}"


def confirm(client, campaign, action, /, **fields):
    return client.post(room(campaign, action), {**as_shown(campaign, action), **fields})


def as_shown(campaign, action):
    """What the page of the action sends back of what it shows now."""
    return {
        "revision": campaign.revision,
        "shown": effects.numbers(*effects.counted(action, campaign, at=clock.now())),
    }


def test_the_room_shows_the_numbers_of_the_one_query_and_each_leads_to_as_many_vehicles(manager, campaign):
    page = manager.get(room(campaign))

    shown = {count.kind: count for count in page.context["total"]}
    assert {kind: count.vehicles for kind, count in shown.items()} == {
        "waiting": 1,
        "under way": 1,
        "soaking": 0,
        "succeeded": 1,
        "failed": 1,
        "neutral": 0,
    }
    for count in [*shown.values(), *page.context["rungs"][0].counts, page.context["excluded"]]:
        listed = manager.get(count.address)
        assert (count.kind, listed.context["cl"].result_count) == (count.kind, count.vehicles)
    assert page.context["progress"] == queries.progress(campaign)


def test_failures_by_code_hardware_and_version_lead_to_their_vehicles(manager, campaign):
    page = manager.get(room(campaign))

    for groups in (page.context["by_hardware"], page.context["by_version"]):
        assert [(group.failed.vehicles, group.results) for group in groups] == [(1, 2)]
    assert [count.vehicles for _, count, _ in page.context["failures"]] == [1]
    assert manager.get(page.context["by_hardware"][0].failed.address).context["cl"].result_count == 1


def test_nothing_is_sent_again_while_nothing_has_changed(manager, campaign):
    first = manager.get(room(campaign), headers=LIVE)
    same, compressed = (
        manager.get(room(campaign), headers={**LIVE, "If-None-Match": tag})
        for tag in (first["ETag"], f"W/{first['ETag']}")
    )
    Assignment.objects.filter(state=AssignmentState.INSTALLING).update(state=AssignmentState.SOAKING)
    moved = manager.get(room(campaign), headers={**LIVE, "If-None-Match": first["ETag"]})

    assert [each.status_code for each in (first, same, compressed, moved)] == [200, 304, 304, 200]
    assert (same.content, same["ETag"]) == (b"", first["ETag"])
    assert b"<html" not in first.content
    assert moved["ETag"] != first["ETag"]


def keep_forecast(campaign, *, minutes, **values):
    """What was forecast of it: in each of four quarters of an hour two succeed, and one fails in the first."""
    bars = [{"succeeded": 2, "failed": 1 if n == 0 else 0, "neutral": 0.5, "length": 1000} for n in range(4)]
    prospect = {"bar_seconds": 60 * minutes, "bars": bars}
    outlook = {"halted": 0.1, "broken": 1, "wave_ends": [60.0 * minutes, None], "prospect": prospect}
    kept = {"starts_at": NOON, "fitting": 9, "outlooks": [{"rate": rate, **outlook} for rate in (0.005, 0.02)]}
    CampaignForecast.objects.create(campaign=campaign, revision=1, made_at=NOON, basis="group", **{**kept, **values})


def test_what_was_forecast_stands_beside_what_has_come_of_it(manager, campaign):
    Campaign.objects.filter(pk=campaign.pk).update(finished_at=NOON + timedelta(minutes=30))
    keep_forecast(campaign, minutes=15)

    page = manager.get(room(campaign))

    beside = page.context["expectations"]
    assert [(f.kind, f.so_far, f.expected[0]) for f in beside.figures] == [
        ("succeeded", 1, (4, 8)),
        ("failed", 1, (1, 1)),
        ("neutral", 0, (1, 2)),
        ("length", 0, (2000, 4000)),
    ]
    assert [list(each.expected) for each in beside.waves] == [[NOON + timedelta(minutes=15)] * 2, [None, None]]
    shown = page.content.decode()
    assert shown.count('class="c-expected"') == 2
    assert "If 0.50 % fail" in shown


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "in_review"}, "appears here by itself"),
        ({"state": "draft"}, "once the draft is sent"),
        ({"state": "running"}, "now none can be"),
        ({"kind": "direct", "group": None}, "in waves are forecast"),
    ],
)
def test_where_there_is_no_forecast_the_room_says_why(manager, campaign, changes, words):
    Campaign.objects.filter(pk=campaign.pk).update(**changes)

    page = manager.get(room(campaign), headers=LIVE)

    assert words in page.content.decode()
    assert "c-expected" not in page.content.decode()


def test_where_nothing_could_be_forecast_the_room_says_why(manager, campaign):
    keep_forecast(campaign, minutes=1, refusal="No vehicle fits.", starts_at=None)

    assert "No vehicle fits." in manager.get(room(campaign), headers=LIVE).content.decode()


def test_a_new_forecast_and_the_time_that_it_speaks_of_are_news(manager, campaign):
    first = manager.get(room(campaign), headers=LIVE)
    keep_forecast(campaign, minutes=1)
    second = manager.get(room(campaign), headers={**LIVE, "If-None-Match": first["ETag"]})
    third = manager.get(room(campaign), headers={**LIVE, "If-None-Match": second["ETag"]})

    assert [answer.status_code for answer in (first, second, third)] == [200, 200, 304]


def test_the_room_takes_as_many_queries_for_nine_vehicles_as_for_three(tenant, manager):
    counts = set()
    for name, vehicles in (("small", 3), ("large", 9)):
        path = room(make_campaign(tenant, name=name, vehicles=vehicles))
        manager.get(path)
        with CaptureQueriesContext(connection) as captured:
            assert manager.get(path).status_code == 200
        counts.add(len(captured))

    assert len(counts) == 1


def test_a_pause_states_its_effect_first_and_then_stands_in_the_record_with_person_and_reason(manager, campaign):
    asked = manager.get(room(campaign, "pause"))
    done = confirm(manager, campaign, "pause", reason="Look at the failure first.")

    assert [(e.count, str(e.of_what)) for e in asked.context["effects"]] == [
        (1, "vehicles are offered nothing until it goes on"),
        (1, "vehicles in flight go on, and may still halt it"),
    ]
    assert (done.status_code, done["Location"]) == (302, room(campaign))
    decided = campaign.decisions.latest("pk")
    assert (decided.kind, decided.actor, decided.sentence) == ("campaign.paused", "mia", "Look at the failure first.")


def test_where_older_decisions_are_left_out_the_room_says_so(manager, campaign, monkeypatch):
    count = campaign.decisions.count()

    for shown, is_told in ((count, False), (count - 1, True)):
        monkeypatch.setattr(control_room, "DECISIONS_SHOWN", shown)
        page = manager.get(room(campaign))
        assert len(page.context["decisions"]) == shown
        assert (f"These are the last {shown};" in page.content.decode()) is is_told


def test_what_was_read_before_the_campaign_moved_is_not_done(manager, campaign):
    operations.pause_campaign(campaign, by="other", at=NOON)
    operations.resume_campaign(campaign, by="other", at=NOON)

    answer = confirm(manager, campaign, "pause", revision=1)

    campaign.refresh_from_db()
    assert (answer.status_code, campaign.state) == (409, CampaignState.RUNNING)


def test_an_emergency_stop_is_done_whatever_has_moved(manager, campaign):
    operations.pause_campaign(campaign, by="other", at=NOON)

    answer = manager.post(room(campaign, "stop"), {"revision": 1, "shown": "read.9.9", "reason": "Smoke."})

    campaign.refresh_from_db()
    assert (answer.status_code, campaign.state, campaign.reason) == (302, CampaignState.HALTED, "Smoke.")


def test_what_other_numbers_have_come_of_is_not_done_and_they_are_shown(manager, campaign):
    page = manager.get(room(campaign, "cancel"))
    read = {name: page.context["form"][name].value() for name in ("revision", "shown")}
    Assignment.objects.filter(campaign=campaign, state="waiting").update(state="soaking", due_at=NOON)

    answer = manager.post(room(campaign, "cancel"), {**read, "reason": "It is over."})

    campaign.refresh_from_db()
    assert (answer.status_code, campaign.state) == (409, CampaignState.RUNNING)
    assert "These numbers have changed" in answer.content.decode()
    assert [effect.count for effect in answer.context["effects"]] == [0, 1, 1, 0]
    shown_now = {name: answer.context["form"][name].value() for name in ("revision", "shown", "reason")}
    assert manager.post(room(campaign, "cancel"), shown_now).status_code == 302


def test_a_pause_is_done_whatever_the_numbers_are_by_now(manager, campaign):
    answer = confirm(manager, campaign, "pause", shown="read.9.9")

    campaign.refresh_from_db()
    assert (answer.status_code, campaign.state) == (302, CampaignState.PAUSED)


@pytest.mark.parametrize("keeps_orders", [True, False])
def test_what_a_halt_lets_go_on_can_be_stopped_too(manager, campaign, keeps_orders):
    Campaign.objects.filter(pk=campaign.pk).update(state="halted", keeps_orders=keeps_orders)

    page = manager.get(room(campaign))
    confirm(manager, campaign, "stop", reason="Smoke.")

    assert (page.context["stop"] is not None) == keeps_orders
    campaign.refresh_from_db()
    assert (campaign.state, campaign.keeps_orders) == ("halted", False)
    assert Entry.objects.get(action="campaign.stopped")


@pytest.mark.parametrize("name", ["stop", "close", "reject"])
def test_what_needs_a_reason_is_not_done_without_one(tenant, campaign, name):
    client = signed_in(make_member(tenant, Role.ADMINISTRATOR))
    before = list(Campaign.objects.values())

    answer = confirm(client, campaign, name)

    assert answer.status_code == 422
    assert list(Campaign.objects.values()) == before


@pytest.mark.parametrize("name", sorted(actions.BY_NAME))
def test_a_viewer_sees_no_button_and_is_refused_when_posting(tenant, campaign, name):
    viewer = signed_in(make_member(tenant))
    campaign.is_dynamic = True
    campaign.state = sorted(actions.BY_NAME[name].states)[0]
    campaign.save()
    before = list(Campaign.objects.values())

    shown = viewer.get(room(campaign)).content.decode()
    answers = [viewer.get(room(campaign, name)), confirm(viewer, campaign, name, reason="Because.")]

    assert f'id="do-{name}"' not in shown
    assert "Emergency stop" not in shown
    assert [answer.status_code for answer in answers] == [403, 403]
    assert list(Campaign.objects.values()) == before


@pytest.mark.parametrize("name", sorted(actions.BY_NAME))
def test_whoever_may_sees_the_button_where_the_state_allows_it(tenant, campaign, name):
    client = signed_in(make_member(tenant, Role.ADMINISTRATOR))
    campaign.is_dynamic = True
    for state in CampaignState.values:
        Campaign.objects.filter(pk=campaign.pk).update(state=state, is_dynamic=True, keeps_orders=state == "halted")
        found = f'id="do-{name}"' in client.get(room(campaign), headers=LIVE).content.decode()
        assert (name, state, found) == (name, state, state in actions.BY_NAME[name].states)


def test_whoever_may_change_a_draft_is_told_how(manager, tenant, campaign):
    Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.DRAFT)
    viewer = signed_in(make_member(tenant, username="vera"))

    told = [
        'ota campaign edit "autumn rollout"' in each.get(room(campaign)).content.decode() for each in (manager, viewer)
    ]

    assert told == [True, False]


def test_another_tenants_campaign_is_not_there(campaign):
    stranger = signed_in(make_member(make_tenant("south"), Role.ADMINISTRATOR))

    paths = [room(campaign), room(campaign, "stop"), room(campaign, "waves/1/decide")]

    assert [stranger.get(path).status_code for path in paths] == [404, 404, 404]
    assert confirm(stranger, campaign, "stop", reason="Mine.").status_code == 404
    campaign.refresh_from_db()
    assert campaign.state == CampaignState.RUNNING


def test_the_way_back_is_drafted_for_those_who_run_the_release(manager, tenant, campaign):
    Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.HALTED, fallback_release=campaign.release)
    other = make_campaign(tenant, name="before").release
    campaign.refresh_from_db()

    answer = confirm(manager, campaign, "rollback", name="autumn back", release=other.pk)

    made = Campaign.objects.get(name="autumn back")
    assert (made.rolls_back, made.release, made.created_by) == (campaign, other, "mia")
    assert answer["Location"] == room(made)


def test_a_person_decides_a_wave_that_asks(manager, campaign):
    wave = campaign.waves.get(number=1)
    wave.state = WaveState.UNDECIDED
    wave.save()

    asked = manager.get(room(campaign)).content.decode()
    form = manager.get(room(campaign, "waves/1/decide")).context["form"]
    said = {"reason": "Good enough.", "revision": form["revision"].value(), "shown": form["shown"].value()}
    unsaid = manager.post(room(campaign, "waves/1/decide"), said)
    campaign.waves.filter(number=2).update(places=5000)
    early = manager.post(room(campaign, "waves/1/decide"), {**said, "passed": "yes"})
    wave.refresh_from_db()
    undecided = wave.state
    said["shown"] = early.context["form"]["shown"].value()
    decided = manager.post(room(campaign, "waves/1/decide"), {**said, "passed": "yes"})

    wave.refresh_from_db()
    assert "Wave 1 asks a person." in asked
    assert (unsaid.status_code, early.status_code, undecided) == (422, 409, WaveState.UNDECIDED)
    assert "5000" in early.content.decode().replace(",", "")
    assert (decided.status_code, wave.state) == (302, WaveState.PASSED)


def test_the_emergency_stop_is_on_every_page_and_stops_the_tenant(manager, tenant, campaign):
    for path in ("/console/", "/console/campaigns/campaign/", "/console/fleet/vehicle/", room(campaign)):
        assert (path, "Emergency stop" in manager.get(path).content.decode()) == (path, True)

    answer = manager.post("/console/stop/", {"tenant": tenant.name, "reason": "Smoke in two cars."})

    campaign.refresh_from_db()
    assert (answer.status_code, campaign.state) == (302, CampaignState.HALTED)
    after = manager.get("/console/fleet/vehicle/").content.decode()
    assert "Smoke in two cars." in after
    assert "Emergency stop" not in after


def test_the_stop_is_refused_without_a_reason_and_for_another_tenant(manager, tenant, campaign):
    south = make_tenant("south")

    answers = [
        manager.post("/console/stop/", {"tenant": tenant.name, "reason": " "}),
        manager.post("/console/stop/", {"tenant": south.name, "reason": "Smoke."}),
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert not Tenant.objects.filter(stopped_at__isnull=False).exists()


def test_campaigns_run_again_only_by_the_word_of_whoever_manages_them(manager, tenant, campaign):
    operations.stop_tenant(tenant, by="mia", at=NOON, reason="Smoke.")
    approver = signed_in(make_member(tenant, Role.APPROVER, "anna"))
    path = f"/console/tenants/{tenant.pk}/resume/"

    refused = approver.post(path, {"reason": "All clear."})
    done = manager.post(path, {"reason": "All clear."})

    assert (refused.status_code, done.status_code) == (403, 302)
    assert Entry.objects.latest("pk").action == "tenant.resumed"


def test_the_console_speaks_chinese_and_shows_the_viewers_clock(manager, campaign):
    manager.cookies["console_zone"] = "Asia%2FShanghai"
    page = manager.get(room(campaign), headers={"Accept-Language": "zh-CN"})

    assert page["Content-Language"] == "zh-hans"
    assert re.search(r"20:00:00</time>", page.content.decode())
    assert "Asia/Shanghai" in page.content.decode()


def test_how_large_a_wave_is_to_be_is_said_in_the_viewers_language(manager, campaign):
    campaign.waves.filter(number=1).update(percent=None, count=1)
    campaign.waves.filter(number=2).update(percent=None, group=campaign.group)

    english, chinese = (
        manager.get(room(campaign), headers={"Accept-Language": language}).content.decode()
        for language in ("en", "zh-CN")
    )

    assert ("<td>1 vehicle</td>" in english, f"<td>group {campaign.group}" in english) == (True, True)
    assert ("<td>1 辆车</td>" in chinese, f"<td>分组 {campaign.group}" in chinese) == (True, True)


def test_the_operator_api_speaks_english_to_everybody(manager):
    answer = manager.get("/api/v1/campaigns", headers={"Accept-Language": "zh-CN"})

    assert answer.status_code == 401
    assert "Send a token" in answer.content.decode()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (5400, "90 min"), (28800, "8 h"), (86400, "1 d"), (90000, "25 h")],
)
def test_a_duration_is_told_in_the_largest_unit_that_it_is_whole_in(seconds, words):
    assert duration(seconds) == words


def test_the_rungs_say_how_many_vehicles_are_planned_for_them_once_it_has_started(manager, campaign):
    before = manager.get(room(campaign)).content.decode()
    campaign.waves.filter(number=2).update(places=75)

    assert "planned:" not in before
    assert manager.get(room(campaign)).content.decode().count("planned: 75") == 1
