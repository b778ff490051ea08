"""What is replaced in a fleet's life: CAs that issue no more, and ECUs whose replacement is expected."""

from django.db import models
from django.db.models import Q

from otaserver.tenants.models import Tenant


class RetiredAuthority(models.Model):
    """A fleet CA that issues no more; the certificates it has issued are good until they or their trust end."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="retired_authorities")
    certificate_pem = models.TextField()
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField()
    # From then on a proxy takes none of its certificates.
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "fleet"
        verbose_name_plural = "retired authorities"

    def __str__(self) -> str:
        return f"fleet CA of {self.tenant} until {self.retired_at:%Y-%m-%d}"


class EcuSwap(models.Model):
    """An operator's word that one ECU of a vehicle may be replaced by another, or get another key, until a moment."""

    vehicle = models.ForeignKey("fleet.Vehicle", models.CASCADE, related_name="ecu_swaps")
    old_serial = models.CharField(max_length=64)
    # The same as the old one for another key alone; empty: whichever comes.
    new_serial = models.CharField(max_length=64, blank=True)
    hardware_id = models.CharField(max_length=64)
    reason = models.TextField()
    announced_by = models.CharField(max_length=200)
    announced_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "fleet"
        constraints = [
            models.UniqueConstraint(
                "vehicle", "old_serial", name="ecu_swap_one_open_per_ecu", condition=Q(done_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.old_serial} of {self.vehicle}"
