"""The forecast that is kept of a campaign, to hold what came of it against what was to be expected."""

from django.db import models
from django.db.models import Q
from django.db.models.enums import TextChoices


class ForecastBasis(TextChoices):
    GROUP = "group"  # the vehicles that it was for at that moment
    LIST = "list"  # the list that was frozen when it started


class CampaignForecast(models.Model):
    """What was to be expected of a campaign, as it was last computed before its start or right after it.

    `inputs` are the plan, rates, runs and seed that it was made from: with the fleet of that moment they give the same
    again. Either `outlooks` say what would come, or `refusal` why nothing can be said.
    """

    campaign = models.OneToOneField("campaigns.Campaign", models.CASCADE, related_name="kept_forecast")
    revision = models.PositiveIntegerField()
    made_at = models.DateTimeField()
    basis = models.CharField(max_length=10, choices=ForecastBasis.choices)
    starts_at = models.DateTimeField(null=True, blank=True)
    fitting = models.PositiveIntegerField(default=0)
    places = models.JSONField(default=list)
    never_heard_of = models.FloatField(default=0.0)
    inputs = models.JSONField(default=dict)
    outlooks = models.JSONField(default=list)
    refusal = models.TextField(blank=True)

    class Meta:
        app_label = "campaigns"
        constraints = [
            models.CheckConstraint(
                name="campaign_forecast_says_what_or_why",
                condition=Q(refusal="", starts_at__isnull=False) | (~Q(refusal="") & Q(starts_at=None)),
            ),
        ]

    def __str__(self) -> str:
        return f"forecast of {self.campaign}"
