"""What has changed, for whoever keeps answers: written by triggers (`telling.Tells`), read a few times a second."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now

# Whoever has not read for half as long takes everything for changed.
KEPT_FOR = timedelta(hours=1)


class Change(models.Model):
    """One vehicle, or a whole tenant, is to be answered anew.

    A negative vehicle stands for what the tenant of that number tells everybody who asks. No foreign keys: the row
    stays to be read when what it tells of has gone.
    """

    tenant = models.BigIntegerField(null=True)
    vehicle = models.BigIntegerField(null=True)
    # It is about who the vehicle is, or by what it proves that, and not only about what it is answered.
    is_identity = models.BooleanField(default=False)
    # The transaction that wrote it, on PostgreSQL: they do not end in the order in which they number their rows.
    written_in = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        app_label = "tenants"
        indexes = [models.Index("written_in", name="change_by_transaction")]

    def __str__(self) -> str:
        return f"vehicle {self.vehicle}" if self.vehicle is not None else f"tenant {self.tenant}"


def forget_changes() -> int:
    """Delete changes that were read long ago, and return how many. By the database's clock, which wrote them."""
    return Change.objects.filter(at__lt=Now() - KEPT_FOR).delete()[0]
