"""For how long a tenant keeps what grows with every day."""

from django.db import models
from django.db.models import Q

MAX_DAYS = 36500


class RetentionRule(models.Model):
    """How many days one kind of record is kept, where the tenant wants it otherwise than by default."""

    # The constraint below begins with it, so that it needs no index of its own.
    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="retention_rules", db_index=False)
    kind = models.CharField(max_length=40)
    days = models.PositiveIntegerField()

    class Meta:
        app_label = "tenants"
        constraints = [
            models.UniqueConstraint("tenant", "kind", name="retention_rule_once_per_kind"),
            models.CheckConstraint(name="retention_rule_days_in_range", condition=Q(days__range=(1, MAX_DAYS))),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.tenant} for {self.days} days"
