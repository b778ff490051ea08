"""The forecast that is kept of a campaign: when it is made, from what, and that it is there once and stays."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from otaserver.campaigns import operations, queries, tasks
from otaserver.campaigns.forecast_models import CampaignForecast
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations.kept_forecasts import LATE_AFTER_START, LEASE, REVIEWED_FOR
from otaserver.campaigns.states import CampaignKind, CampaignState
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import User
from tests.campaigns.campaign_factories import install, make_campaign
from tests.factories import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign():
    made = make_campaign(vehicles=4, waves=(25, 100), acceptable_rate=0.01, unacceptable_rate=0.25)
    Vehicle.objects.update(last_contact_at=NOON - timedelta(minutes=30))
    return made


def in_state(campaign, state, **changes):
    Campaign.objects.filter(pk=campaign.pk).update(state=state, **changes)


def start(campaign):
    operations.submit_campaign(campaign, by="alice", at=NOON)
    operations.approve_campaign(campaign, by="bob", at=NOON)
    operations.start_campaign(campaign, by="alice", at=NOON)


def due(at=NOON):
    return list(operations.forecasts_due(at).values_list("pk", flat=True))


@pytest.mark.any_database
@pytest.mark.parametrize("state", CampaignState)
def test_a_campaign_on_its_way_to_the_start_is_due(campaign, state):
    in_state(campaign, state, started_at=NOON - LATE_AFTER_START)

    assert (due() == [campaign.pk]) is (state in ("in_review", "approved", "scheduled"))


@pytest.mark.any_database
def test_what_is_kept_is_due_again_after_a_move_and_after_a_day(campaign):
    in_state(campaign, CampaignState.IN_REVIEW)
    operations.keep_forecast(campaign.pk, at=NOON)

    assert (due(), due(NOON + timedelta(hours=23)), due(NOON + timedelta(days=1))) == ([], [], [campaign.pk])
    Campaign.objects.get().move_to(CampaignState.APPROVED)
    assert due() == [campaign.pk]


def test_a_forecast_is_kept_at_the_gates_two_rates_with_what_it_was_made_from(campaign):
    in_state(campaign, CampaignState.IN_REVIEW)

    row = operations.keep_forecast(campaign.pk, at=NOON)

    assert (row.revision, row.made_at, row.basis, row.starts_at) == (campaign.revision, NOON, "group", NOON)
    assert (row.fitting, row.places, row.never_heard_of, row.refusal) == (4, [1, 3], 0, "")
    assert [each["rate"] for each in row.outlooks] == [0.01, 0.25]
    assert (row.inputs["runs"], row.inputs["seed"]) == (10, 1)
    plan = row.inputs["plan"]
    assert (plan["soak_seconds"], plan["unacceptable_rate"]) == (campaign.soak_seconds, 0.25)
    assert [wave["percent"] for wave in plan["waves"]] == ["25.000", "100.000"]


def test_the_same_fleet_and_inputs_give_what_is_kept_again(campaign):
    in_state(campaign, CampaignState.IN_REVIEW)
    row = operations.keep_forecast(campaign.pk, at=NOON)
    campaign.refresh_from_db()

    again = operations.forecast_campaign(campaign, at=NOON, rates=row.inputs["rates"], runs=10, seed=1)

    kept = queries.kept_forecast(campaign, queries.forecast_row(campaign))
    assert [each.prospect for each in kept.outlooks] == [each.prospect for each in again.outlooks]


def test_repeating_makes_none_and_a_new_one_takes_the_place_of_the_old(campaign):
    in_state(campaign, CampaignState.IN_REVIEW)
    operations.keep_forecast(campaign.pk, at=NOON)

    assert operations.keep_forecast(campaign.pk, at=NOON) is None
    later = operations.keep_forecast(campaign.pk, at=NOON + timedelta(days=1))
    assert (CampaignForecast.objects.get(), later.made_at) == (later, NOON + timedelta(days=1))


def test_where_nobody_fits_the_reason_is_kept(campaign):
    for vehicle in Vehicle.objects.all():
        install(vehicle, campaign.release)
    in_state(campaign, CampaignState.IN_REVIEW)

    row = operations.keep_forecast(campaign.pk, at=NOON)

    assert (row.refusal, row.outlooks, row.starts_at) == (f"No vehicle fits {campaign.release}.", [], None)
    assert queries.kept_forecast(campaign, row) is None
    assert due() == []


def test_one_that_started_before_any_was_made_is_forecast_from_its_list_and_only_soon(campaign):
    start(campaign)
    # One that was counted is gone from the group by now: the list is what counts.
    campaign.group.memberships.first().delete()

    assert due(NOON + LATE_AFTER_START) == []
    row = operations.keep_forecast(campaign.pk, at=NOON + timedelta(minutes=1))

    assert (row.basis, row.fitting, row.places, row.starts_at) == ("list", 4, [1, 3], NOON)
    assert due() == []


def test_the_list_gives_the_forecast_that_the_group_gave(campaign):
    in_state(campaign, CampaignState.IN_REVIEW)
    before = operations.keep_forecast(campaign.pk, at=NOON)
    in_state(campaign, CampaignState.DRAFT)
    campaign.refresh_from_db()
    start(campaign)
    before.delete()

    after = operations.keep_forecast(campaign.pk, at=NOON)

    assert after.outlooks == before.outlooks


@pytest.mark.any_database
def test_what_is_kept_is_not_changed_by_the_start(campaign):
    in_state(campaign, CampaignState.IN_REVIEW)
    operations.keep_forecast(campaign.pk, at=NOON)
    before = CampaignForecast.objects.values().get()
    in_state(campaign, CampaignState.RUNNING, started_at=NOON + timedelta(minutes=1))

    tasks.keep_forecasts()
    assert operations.keep_forecast(campaign.pk, at=NOON + timedelta(minutes=1)) is None

    assert CampaignForecast.objects.values().get() == before
    kept = queries.kept_forecast(Campaign.objects.get(), CampaignForecast.objects.get())
    assert kept.starts_at == NOON + timedelta(minutes=1)


@pytest.mark.any_database
def test_only_rollouts_are_forecast(campaign):
    in_state(campaign, CampaignState.IN_REVIEW, kind=CampaignKind.DIRECT, group=None)

    assert due() == []


def test_a_row_says_what_or_why(campaign):
    for values in ({"refusal": "x", "starts_at": NOON}, {"refusal": "", "starts_at": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            CampaignForecast.objects.create(campaign=campaign, revision=1, made_at=NOON, basis="group", **values)


def review(campaign, at):
    person = User.objects.create_user("mia")
    operations.link_campaign(operations.keep_step(campaign.tenant, person, "what", {}, at=at), campaign, at=at)


@pytest.mark.any_database
def test_a_draft_is_due_while_somebody_reviews_the_plan_that_it_was_made_from(campaign):
    assert due() == []

    review(campaign, NOON)

    assert (due(NOON + REVIEWED_FOR - timedelta(seconds=1)), due(NOON + REVIEWED_FOR)) == ([campaign.pk], [])
    assert operations.keep_forecast(campaign.pk, at=NOON).fitting == 4
    assert due() == []


@pytest.mark.any_database
def test_what_somebody_makes_is_made_by_nobody_else_until_they_are_taken_to_be_dead(campaign):
    in_state(campaign, CampaignState.IN_REVIEW, forecast_begun_at=NOON)

    assert operations.keep_forecast(campaign.pk, at=NOON) is None
    assert (due(), due(NOON + LEASE)) == ([], [campaign.pk])
    assert not CampaignForecast.objects.exists()
    assert operations.keep_forecast(campaign.pk, at=NOON + LEASE).fitting == 4
    assert Campaign.objects.get().forecast_begun_at is None


@pytest.mark.any_database
def test_what_is_due_is_one_read_by_the_states_that_may_be(campaign, django_assert_num_queries):
    in_state(campaign, CampaignState.COMPLETED)

    with django_assert_num_queries(1):
        assert due() == []
    if connection.vendor == "sqlite":
        plan = operations.forecasts_due(NOON).explain()
        assert "SEARCH campaigns_campaign USING INDEX campaign_state (state=?)" in plan, plan
