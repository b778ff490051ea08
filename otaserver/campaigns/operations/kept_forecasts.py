"""Keeping the forecast of a campaign, so that what comes of it can be held against what was to be expected.

It is made anew whenever the campaign moves on its way to the start, and once a day while it waits there; of a draft,
while a person reviews the plan that it was made from. One that has started before there was any is forecast from its
frozen list, as long as hardly a vehicle has called since.
"""

from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.forecast_models import CampaignForecast, ForecastBasis
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import changes, forecasts
from otaserver.campaigns.operations.campaigns import CampaignPlan
from otaserver.campaigns.operations.forecasts import Forecast
from otaserver.campaigns.states import CampaignKind, CampaignState
from otaserver.errors import OtaError

RUNS = 10
SEED = 1
FRESH_FOR = timedelta(days=1)
LATE_AFTER_START = timedelta(minutes=10)
# How long after somebody has looked at it a plan that was not sent yet is worth a forecast.
REVIEWED_FOR = timedelta(hours=1)
# Longer than it takes for the largest fleet: then whoever began it is taken to be dead.
LEASE = timedelta(minutes=5)
_WAITING = (CampaignState.IN_REVIEW, CampaignState.APPROVED, CampaignState.SCHEDULED)


def forecasts_due(at: datetime) -> QuerySet[Campaign]:
    """Return the campaigns of which a forecast is to be made now, and kept; none that somebody makes already."""
    fresh = Q(kept_forecast__revision=F("revision"), kept_forecast__made_at__gt=at - FRESH_FOR)
    has_just_started = Q(state=CampaignState.RUNNING, started_at__gt=at - LATE_AFTER_START, kept_forecast=None)
    reviewed = PlanDraft.objects.filter(changed_at__gt=at - REVIEWED_FOR, campaign__isnull=False).values("campaign")
    is_waiting = Q(state__in=_WAITING) | Q(state=CampaignState.DRAFT, pk__in=reviewed)
    is_due = has_just_started | (is_waiting & (Q(kept_forecast=None) | ~fresh))
    rows = Campaign.objects.filter(state__in=[CampaignState.DRAFT, *_WAITING, CampaignState.RUNNING])
    return rows.filter(is_due, _is_free(at), kind=CampaignKind.ROLLOUT).order_by("pk")


def is_fresh(campaign: Campaign, row: CampaignForecast | None, *, at: datetime) -> bool:
    """Return whether what is kept is of the campaign as it is now."""
    return row is not None and row.revision == campaign.revision and row.made_at > at - FRESH_FOR


def keep_forecast(campaign_id: int, *, at: datetime) -> CampaignForecast | None:
    """Forecast a campaign, at the two failure rates that its gate tells apart, and keep that instead of what was kept.

    Where nothing can be said, the reason is kept. Nothing is done (None) where none is due, or another makes it:
    repeating is harmless.
    """
    campaign = forecasts_due(at).filter(pk=campaign_id).select_related("tenant", "release", "group").first()
    if campaign is None or not Campaign.objects.filter(_is_free(at), pk=campaign_id).update(forecast_begun_at=at):
        return None
    rates = (campaign.acceptable_rate, campaign.unacceptable_rate)
    has_started = campaign.state == CampaignState.RUNNING
    rehearse = forecasts.forecast_started if has_started else forecasts.forecast_campaign
    values: dict[str, Any] = {
        "revision": campaign.revision,
        "made_at": at,
        "basis": ForecastBasis.LIST if has_started else ForecastBasis.GROUP,
        "inputs": {"plan": _plan(campaign), "rates": rates, "runs": RUNS, "seed": SEED},
    }
    try:
        values |= _stored(rehearse(campaign, at=at, rates=rates, runs=RUNS, seed=SEED))
    except OtaError as error:
        values |= _stored(None) | {"refusal": error.message}
    return _keep(campaign, values)


def _is_free(at: datetime) -> Q:
    return Q(forecast_begun_at=None) | Q(forecast_begun_at__lte=at - LEASE)


@transaction.atomic
def _keep(campaign: Campaign, values: dict[str, Any]) -> CampaignForecast | None:
    now = Campaign.objects.select_for_update(of=("self",), no_key=True).get(pk=campaign.pk)
    Campaign.objects.filter(pk=campaign.pk).update(forecast_begun_at=None)
    # Whoever moved it meanwhile has made another forecast due; but one that has started keeps what was made before.
    if now.revision != campaign.revision and now.started_at is None:
        return None
    kept, _ = CampaignForecast.objects.update_or_create(campaign=campaign, defaults=values)
    return kept


def _plan(campaign: Campaign) -> dict[str, Any]:
    plan = changes.plan_of(campaign)
    values = {field.name: getattr(plan, field.name) for field in fields(CampaignPlan)}
    return {name: changes.shown(list(value) if isinstance(value, tuple) else value) for name, value in values.items()}


def _stored(forecast: Forecast | None) -> dict[str, Any]:
    if forecast is None:
        return {"starts_at": None, "fitting": 0, "places": [], "never_heard_of": 0.0, "outlooks": []}
    return {
        "starts_at": forecast.starts_at,
        "fitting": forecast.fitting,
        "places": list(forecast.places),
        "never_heard_of": forecast.never_heard_of,
        "outlooks": [asdict(each) for each in forecast.outlooks],
        "refusal": "",
    }
