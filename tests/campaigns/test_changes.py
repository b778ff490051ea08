"""Changes of a plan: of a draft, of a live campaign with a reason, and never of one that has moved meanwhile."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from firmware_store.models import RoleMetadata
from otaserver.audit.models import Entry
from otaserver.campaigns import operations
from otaserver.campaigns.errors import (
    CampaignMovedError,
    CampaignNameTakenError,
    ChangeRefusedError,
    MetadataEndsError,
    NoWayBackError,
    PlanRefusedError,
    ReasonMissingError,
)
from otaserver.campaigns.models import Campaign, Decision, Wave
from otaserver.campaigns.operations import WavePlan
from otaserver.campaigns.rules.windows import EVERY_DAY, Window
from otaserver.errors import OtaError
from otaserver.statemachine import InvalidTransitionError
from tests.campaigns.campaign_factories import (
    at,
    fail,
    in_turn,
    make_approved,
    make_campaign,
    make_running,
    states,
    tick,
)
from tests.campaigns.test_source_states import MAKERS
from tests.factories import NOON, make_group, make_package, make_release

pytestmark = pytest.mark.django_db


def change(campaign, *, revision=None, reason="", **changes):
    plan = replace(operations.plan_of(campaign), **changes)
    wanted = campaign.revision if revision is None else revision
    operations.change_campaign(campaign, plan, revision=wanted, by="carol", at=NOON, reason=reason)


def rows():
    return [list(model.objects.order_by("pk").values()) for model in (Campaign, Wave, Decision, Entry)]


def refused(error, campaign, match=None, **changes):
    before = rows()
    with pytest.raises(error, match=match) as caught:
        change(campaign, **changes)
    assert rows() == before
    return caught.value


def test_every_field_of_a_draft_may_be_changed():
    campaign = make_campaign()
    group = make_group(campaign.tenant)
    waves = (WavePlan(Decimal(10), 1), WavePlan(Decimal(100), 2))

    change(campaign, name="summer", group=group, waves=waves, alpha=0.02, halt_codes=["b", "a"], max_failed=3)

    stored = Campaign.objects.get()
    assert (stored.name, stored.group, stored.alpha, stored.max_failed) == ("summer", group, 0.02, 3)
    assert stored.halt_codes == ["a", "b"]
    assert list(stored.waves.values_list("number", "percent", "max_failed")) == [(1, 10, 1), (2, 100, 2)]
    assert stored.revision == campaign.revision == 2


def test_a_change_is_a_decision_with_what_was_before_and_after():
    campaign = make_campaign()
    old = str(campaign.fallback_release)

    change(campaign, fallback_release=None, no_way_back_reason="None.", waves=(WavePlan(Decimal(100), 3),))

    decided = Decision.objects.get(kind="campaign.changed")
    assert decided.actor == "carol"
    assert decided.inputs == {
        "state": "draft",
        "revision": 2,
        "reason": "",
        "changes": {
            "waves": {
                "before": [{"percent": "100.000", "count": None, "group": None, "max_failed": 0}],
                "after": [{"percent": "100", "count": None, "group": None, "max_failed": 3}],
            },
            "fallback_release": {"before": old, "after": None},
            "no_way_back_reason": {"before": "", "after": "None."},
        },
    }
    assert Entry.objects.filter(action="campaign.changed").count() == 1


def test_no_difference_is_no_change():
    campaign = make_campaign()
    before = rows()

    change(campaign)

    assert rows() == before


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        (PlanRefusedError, {"waves": (WavePlan(Decimal(50)),)}),
        (PlanRefusedError, {"acceptable_rate": 0.5}),
        (PlanRefusedError, {"name": ""}),
        (PlanRefusedError, {"max_in_flight": 0}),
        (NoWayBackError, {"fallback_release": None}),
    ],
)
def test_a_draft_is_not_changed_into_what_none_may_be(error, changes):
    refused(error, make_campaign(), **changes)


NIGHT = Window(EVERY_DAY, 22 * 60, 8 * 60)
NEVER = [
    {"windows": (Window(0, 0, 60),)},
    {"windows": (Window(EVERY_DAY, 0, 0),)},
    {"windows": (NIGHT, NIGHT)},
    {"offers_per_minute": 0},
    {"offers_per_minute": -5},
    {"bytes_per_hour": 0},
]


@pytest.mark.parametrize(
    "changes",
    [
        *NEVER,
        {"ends_at": NOON},
        {"consent": "ask", "consent_deadline_seconds": 5},
        {"consent": "ask_with_deadline", "consent_postponements": 99999},
        {"consent": "ask_with_deadline", "consent_deadline_seconds": -1},
        {"consent": "ask_with_deadline"},
    ],
)
def test_a_draft_is_not_changed_so_that_it_could_never_install(changes):
    refused(PlanRefusedError, make_campaign(vehicles=1), **changes)


@pytest.mark.parametrize("changes", [*NEVER, {"ends_at": at(hours=23)}])
def test_nor_is_one_that_waits_for_its_start(changes):
    campaign = make_approved(vehicles=1, ends_at=at(days=3))
    operations.schedule_campaign(campaign, starts_at=at(days=1), by="alice", at=NOON)

    refused(PlanRefusedError, campaign, reason="Because.", **changes)


def test_a_pace_is_slowed_though_no_window_opens_before_the_end():
    mondays = Window(1, 0, 1440)
    campaign = make_running(vehicles=1, ends_at=at(days=4), windows=[mondays], offers_per_minute=9)
    plan = replace(operations.plan_of(campaign), offers_per_minute=1)

    operations.change_campaign(
        campaign, plan, revision=campaign.revision, by="carol", at=at(days=3), reason="Too many at once."
    )

    assert Campaign.objects.get().offers_per_minute == 1


def test_a_draft_cannot_take_a_name_or_a_group_of_others():
    campaign = make_campaign()
    make_campaign(name="summer", tenant=campaign.tenant, old=campaign.fallback_release, release=campaign.release)
    foreign = make_campaign(name="foreign").group

    refused(CampaignNameTakenError, campaign, name="summer")
    refused(PlanRefusedError, campaign, group=foreign)


@pytest.mark.parametrize("state", ["in_review", "approved", "completed", "cancelled"])
def test_nothing_is_changed_where_people_have_just_read_it_or_it_is_over(state):
    refused(InvalidTransitionError, MAKERS[state](), max_in_flight=5, reason="Slower.")


@pytest.mark.parametrize("state", ["scheduled", "running", "paused", "halted"])
def test_a_live_campaign_is_changed_with_a_reason(state):
    campaign = MAKERS[state]()
    revision = campaign.revision

    change(campaign, max_in_flight=5, reason=" Hotline is full. ")

    campaign.refresh_from_db()
    assert (campaign.state, campaign.max_in_flight, campaign.revision) == (state, 5, revision + 1)
    decided = Decision.objects.get(kind="campaign.changed")
    assert (decided.sentence, decided.inputs) == (
        "Hotline is full.",
        {
            "state": state,
            "revision": revision + 1,
            "reason": "Hotline is full.",
            "changes": {"max_in_flight": {"before": None, "after": 5}},
        },
    )


@pytest.mark.parametrize("state", ["scheduled", "running", "paused", "halted"])
def test_without_a_reason_it_is_not(state):
    refused(ReasonMissingError, MAKERS[state](), max_in_flight=5, reason="  ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "autumn"),
        ("acceptable_rate", 0.01),
        ("soak_seconds", 5),
        ("is_stratified", False),
        ("waves", (WavePlan(Decimal(100)),)),
        ("max_verification_failed", 1),
        ("grace_hours", 1),
    ],
)
def test_what_was_approved_stays(field, value):
    error = refused(ChangeRefusedError, MAKERS["running"](), reason="Because.", **{field: value})

    assert error.details["field"] == field
    assert error.details["rule"]


def test_another_release_is_refused_with_its_name():
    campaign = make_running(vehicles=1)
    other = make_release(campaign.tenant, make_package(campaign.tenant, "other"), name="other", version="9")

    error = refused(ChangeRefusedError, campaign, release=other, reason="Better.")

    assert error.details == {"field": "release", "value": str(other), "rule": "release stays as it was approved"}


def test_a_tighter_pace_holds_from_the_next_tick():
    campaign = make_running(vehicles=4, max_in_flight=1)
    assert states(campaign).count("offered") == 1

    change(campaign, max_in_flight=3, reason="All went well.")
    tick(campaign, at(minutes=1))

    assert states(campaign).count("offered") == 3


def test_a_limit_that_is_lowered_below_what_has_failed_halts_at_the_next_tick():
    campaign = make_running(vehicles=4, max_failed=2)
    fail(in_turn(campaign)[0])
    tick(campaign)
    assert campaign.state == "running"

    change(campaign, max_failed=0, reason="One is too many.")
    tick(campaign, at(minutes=1))

    assert campaign.state == "halted"


def test_a_change_to_a_campaign_that_has_been_changed_meanwhile_is_refused():
    campaign, stale = make_campaign(), Campaign.objects.get()
    change(campaign, max_in_flight=5)

    refused(CampaignMovedError, stale, "has revision 2|with revision 2", max_in_flight=7)
    refused(CampaignMovedError, campaign, "not 1", revision=1, max_in_flight=7)


def test_a_change_to_a_campaign_that_has_been_halted_meanwhile_is_refused():
    campaign = make_running(vehicles=2)
    stale = Campaign.objects.get()
    operations.stop_campaign(campaign, by="bob", at=NOON, reason="Smoke.")

    error = refused(CampaignMovedError, stale, max_in_flight=7, reason="Slower.")

    assert error.details == {"revision": campaign.revision, "state": "halted"}


def test_an_emergency_stop_is_not_refused_for_a_change_meanwhile():
    campaign = make_running(vehicles=2)
    stale = Campaign.objects.get()
    change(campaign, max_in_flight=7, reason="Slower.")

    operations.stop_campaign(stale, by="bob", at=NOON, reason="Smoke.")

    assert (stale.state, stale.revision) == ("halted", campaign.revision + 1)


def test_every_move_raises_the_revision():
    campaign = make_campaign(vehicles=1)
    found = [campaign.revision]
    operations.submit_campaign(campaign, by="alice", at=NOON)
    found.append(campaign.revision)
    operations.approve_campaign(campaign, by="bob", at=NOON)
    found.append(campaign.revision)

    assert found == [1, 2, 3]
    assert Campaign.objects.get().revision == 3


def test_longer_timeouts_may_not_outlive_the_metadata_and_other_changes_need_not_ask():
    campaign = make_approved(vehicles=1)
    operations.start_campaign(campaign, by="alice", at=NOON)
    RoleMetadata.objects.create(
        tenant=campaign.tenant,
        repository="image",
        role="root",
        profile="tuf-1.0",
        version=1,
        body=b"",
        expires_at=NOON + timedelta(days=30),
        created_at=NOON,
    )

    refused(MetadataEndsError, campaign, offer_timeout_seconds=60 * 86400, reason="Holidays.")
    campaign.refresh_from_db()
    RoleMetadata.objects.update(expires_at=NOON + timedelta(days=1))
    change(campaign, max_in_flight=1, reason="Slower.")

    assert Campaign.objects.get().max_in_flight == 1


def test_a_roll_backs_draft_keeps_what_it_takes_back():
    campaign = make_running(vehicles=1)
    operations.stop_campaign(campaign, by="bob", at=NOON, reason="Bad.")
    rollback = operations.create_rollback(campaign, release=campaign.fallback_release, name="back", by="alice", at=NOON)

    refused(ChangeRefusedError, rollback, release=campaign.release)
    change(rollback, max_in_flight=5, name="home")

    rollback.refresh_from_db()
    assert (rollback.name, rollback.max_in_flight) == ("home", 5)


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_one_wins(at_once):
    campaign = make_campaign(vehicles=1)
    one, two = (Campaign.objects.get(pk=campaign.pk) for _ in range(2))

    results = at_once(lambda: change(one, max_in_flight=5), lambda: change(two, max_failed=7))

    assert sorted(type(result).__name__ for result in results) == ["CampaignMovedError", "NoneType"]
    assert all(isinstance(result, OtaError) for result in results if result)
    stored = Campaign.objects.get()
    assert (stored.revision, [stored.max_in_flight, stored.max_failed].count(None)) == (2, 1)
