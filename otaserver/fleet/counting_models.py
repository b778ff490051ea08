"""How many vehicles groups have, counted by a worker for whoever looks at their list."""

from django.db import models


class GroupSize(models.Model):
    """How many vehicles a group had when they were last counted; nothing is decided by it.

    `asked_at`: when somebody last wanted to know and there was no fresh number. `filter`: what the group chose its
    vehicles by when it was counted. Counted and without a number: the filter cannot be answered any more.
    """

    group = models.OneToOneField("fleet.Group", models.CASCADE, primary_key=True, related_name="size")
    filter = models.TextField(blank=True)
    vehicles = models.PositiveIntegerField(null=True, blank=True)
    asked_at = models.DateTimeField()
    begun_at = models.DateTimeField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "fleet"

    def __str__(self) -> str:
        return f"size of {self.group}"
