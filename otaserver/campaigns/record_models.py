"""What campaigns keep beside themselves: what they require, software changes, and vehicles that need hands."""

from django.db import models
from django.db.models import F, Q

from otaserver.campaigns.states import ChangeCause
from otaserver.fleet.models import Vehicle
from otaserver.tenants.states import ForeignSoftware


class CampaignRequirement(models.Model):
    """One campaign waits, vehicle by vehicle, for an earlier one."""

    campaign = models.ForeignKey("campaigns.Campaign", models.CASCADE, related_name="requirements")
    required = models.ForeignKey("campaigns.Campaign", models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint("campaign", "required", name="campaign_requirement_once"),
            # So that no chain of them can come back to where it began.
            models.CheckConstraint(name="campaign_requirement_is_earlier", condition=Q(campaign__gt=F("required"))),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} requires {self.required}"


class SoftwareChange(models.Model):
    """One change of what an ECU proved to run, why it came about, and what was done about it; append-only.

    Of each vehicle the newest are kept (`changes.MAX_CHANGES`). By serial: it outlives the ECU's row.
    """

    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="software_changes", db_index=False)
    ecu_serial = models.CharField(max_length=64)
    from_target = models.CharField(max_length=255, blank=True)
    from_sha256 = models.CharField(max_length=64, blank=True)
    to_target = models.CharField(max_length=255)
    to_sha256 = models.CharField(max_length=64)
    at = models.DateTimeField()
    cause = models.CharField(max_length=20, choices=ChangeCause.choices)
    # What was done about foreign software; empty for any other.
    policy = models.CharField(max_length=20, choices=ForeignSoftware.choices, blank=True)
    # The campaign that this touched, if one did.
    campaign = models.ForeignKey(
        "campaigns.Campaign", models.SET_NULL, related_name="software_changes", null=True, blank=True
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="software_change_policy_of_foreign",
                condition=Q(cause=ChangeCause.FOREIGN, policy__in=ForeignSoftware.values)
                | (~Q(cause=ChangeCause.FOREIGN) & Q(policy="")),
            ),
        ]
        indexes = [models.Index("vehicle", F("at").desc(), name="software_change_by_time")]

    def __str__(self) -> str:
        return f"{self.to_target} on {self.ecu_serial} ({self.cause})"


class WorkshopCase(models.Model):
    """A vehicle that no order over the air can help any more: somebody must go to it. One open case a vehicle."""

    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="workshop_cases")
    assignment = models.ForeignKey(
        "campaigns.Assignment", models.SET_NULL, related_name="workshop_cases", null=True, blank=True
    )
    code = models.CharField(max_length=80)
    reason = models.TextField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=200, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("vehicle", name="workshop_case_one_open_per_vehicle", condition=Q(closed_at=None)),
            models.CheckConstraint(
                name="workshop_case_closed_by_somebody",
                condition=Q(closed_at=None, closed_by="") | (Q(closed_at__isnull=False) & ~Q(closed_by="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vehicle} in the workshop ({self.code})"
