"""Records of a campaign beside its decisions: who approved which revision of it."""

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
