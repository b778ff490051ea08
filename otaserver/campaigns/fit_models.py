"""How many vehicles of a large group a release fits, counted by a worker for whoever plans a campaign."""

from django.db import models


class GroupFit(models.Model):
    """How many vehicles of a group have each verdict for a release, as last counted; nothing is decided by it.

    `asked_at`: when somebody last wanted to know and there was no fresh answer. `filter`: what the group chose its
    vehicles by when it was counted.
    """

    # The constraint below begins with it, so that it needs no index of its own.
    release = models.ForeignKey("firmware_store.Release", models.CASCADE, related_name="group_fits", db_index=False)
    group = models.ForeignKey("fleet.Group", models.CASCADE, related_name="fits")
    filter = models.TextField(blank=True)
    verdicts = models.JSONField(default=dict)
    asked_at = models.DateTimeField()
    begun_at = models.DateTimeField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "campaigns"
        constraints = [models.UniqueConstraint("release", "group", name="group_fit_once_per_release")]

    def __str__(self) -> str:
        return f"{self.release} on {self.group}"
