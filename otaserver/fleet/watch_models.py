"""What integrators look at when a device does not get through: its last requests, while somebody watches."""

from django.db import models
from django.db.models import Q

from otaserver.tenants.models import Tenant
from otaserver.tenants.telling import Tells


class AddressWatch(models.Model):
    """Somebody looks, until a moment, at what comes from one address for a tenant and is refused."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="address_watches")
    address = models.CharField(max_length=45)
    until = models.DateTimeField()
    by = models.CharField(max_length=200)

    class Meta:
        app_label = "fleet"
        verbose_name_plural = "address watches"
        constraints = [
            models.UniqueConstraint("tenant", "address", name="address_watch_once_per_tenant"),
            Tells(name="address_watch_tells", vehicle="-{row}.tenant_id", inserts=True, updates=["until"]),
        ]

    def __str__(self) -> str:
        return self.address


class SeenRequest(models.Model):
    """One request of a watched vehicle, or one that was refused to a watched address, and what it was answered.

    Never what it carried: no body, no query, no secret.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="seen_requests", db_index=False)
    vehicle = models.ForeignKey(
        "fleet.Vehicle", models.CASCADE, related_name="seen_requests", null=True, blank=True, db_index=False
    )
    address = models.CharField(max_length=45)
    at = models.DateTimeField()
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=500)
    client = models.CharField(max_length=100, blank=True)
    # What it showed to prove who it is, in words.
    identity = models.CharField(max_length=300)
    status = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        app_label = "fleet"
        constraints = [
            models.CheckConstraint(
                name="seen_request_of_a_vehicle_or_refused", condition=Q(vehicle__isnull=False) | Q(status__gte=400)
            ),
        ]
        indexes = [
            models.Index("vehicle", "id", name="seen_request_of_vehicle"),
            models.Index("tenant", "address", "id", name="seen_request_from_address"),
            models.Index("at", name="seen_request_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.status}"
