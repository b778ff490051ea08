"""Campaigns that somebody has begun to plan and not finished."""

from django.conf import settings
from django.db import models

from otaserver.tenants.models import Tenant


class PlanDraft(models.Model):
    """What a person has given so far in the steps of a new campaign, as they typed it: one for each of their tenants.

    `campaign` is the draft that its last step has made of it, which follows what is changed in the steps.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="plan_drafts", db_index=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="plan_drafts")
    # By step: {field: [values]}.
    steps = models.JSONField(default=dict)
    campaign = models.ForeignKey("campaigns.Campaign", models.SET_NULL, related_name="+", null=True, blank=True)
    # Its revision as the steps made it: at another, somebody else has changed it. Null: the steps say something newer.
    campaign_revision = models.PositiveIntegerField(null=True, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        app_label = "campaigns"
        constraints = [models.UniqueConstraint("tenant", "person", name="plan_draft_once_per_person")]
        indexes = [models.Index("tenant", "changed_at", name="plan_draft_by_age")]

    def __str__(self) -> str:
        return f"plan of {self.person}"
