"""Records of a campaign beside its decisions: who approved which revision of it, and what its gate has read."""

from django.db import models


class Approval(models.Model):
    """One person's approval of one revision of a campaign; a draft that was rejected or changed needs new ones."""

    campaign = models.ForeignKey("campaigns.Campaign", models.CASCADE, related_name="approvals")
    revision = models.PositiveIntegerField()
    by = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        app_label = "campaigns"
        constraints = [
            models.UniqueConstraint("campaign", "revision", "by", name="approval_once_per_person_and_revision")
        ]

    def __str__(self) -> str:
        return f"{self.by} for revision {self.revision} of {self.campaign}"


class GateReading(models.Model):
    """The outcomes that one tick read into a campaign's gate, in the order in which it read them; append-only.

    An assignment may end otherwise later, and readings of health are pruned: what the gate has read is here, packed as
    `rules.readings.Packed` says. Each digest goes over the one before.
    """

    campaign = models.ForeignKey("campaigns.Campaign", models.CASCADE, related_name="gate_readings", db_index=False)
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    strata = models.JSONField(default=list)
    runs = models.JSONField(default=list)
    signals = models.JSONField(default=list)
    health = models.JSONField(default=list)
    controls = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64)

    class Meta:
        app_label = "campaigns"
        constraints = [models.UniqueConstraint("campaign", "number", name="gate_reading_number_once_per_campaign")]

    def __str__(self) -> str:
        return f"reading {self.number} of {self.campaign}"


class StandingConsent(models.Model):
    """A vehicle's owner, or whoever answers for them, agrees to every order to come, until it is taken back."""

    vehicle = models.OneToOneField("fleet.Vehicle", models.CASCADE, related_name="standing_consent")
    # As the vehicle names them; may be empty.
    initiator = models.CharField(max_length=64, blank=True)
    remark = models.CharField(max_length=255, blank=True)
    given_at = models.DateTimeField()

    class Meta:
        app_label = "campaigns"

    def __str__(self) -> str:
        return f"standing consent for {self.vehicle}"
