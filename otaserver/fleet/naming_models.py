"""What vehicles are searched for by."""

from django.db import models

from otaserver.fleet import naming
from otaserver.tenants.models import Tenant


class Spelling(models.Model):
    """A vehicle's id in capital letters, and its end read backwards; written by the database (`naming.Spells`)."""

    vehicle = models.OneToOneField(
        "fleet.Vehicle", models.CASCADE, primary_key=True, related_name="spelling", editable=False
    )
    # The indexes below begin with it, so that it needs none of its own.
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="+", db_index=False)
    forwards = naming.ByteOrderedField(max_length=64)
    backwards = naming.ByteOrderedField(max_length=naming.TAIL)

    class Meta:
        app_label = "fleet"
        indexes = [
            models.Index("tenant", "forwards", name="spelling_forwards"),
            models.Index("tenant", "backwards", name="spelling_backwards"),
        ]

    def __str__(self) -> str:
        return str(self.forwards)
