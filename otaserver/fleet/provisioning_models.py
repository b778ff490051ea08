"""The right to make vehicles known with one credential that many of them share, as aktualizr does in a factory."""

from django.db import models
from django.db.models import F, Q

from otaserver.tenants.models import Tenant


class ProvisioningCredential(models.Model):
    """A client certificate that many vehicles share, good for one thing: to ask for a certificate of one's own.

    Issued by the tenant's fleet CA and known by its serial number; its private key is given out once and not kept.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="provisioning_credentials")
    name = models.CharField(max_length=40)
    # The serial number of the certificate in hex, without leading zeros.
    fingerprint = models.CharField(max_length=64, unique=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "name", name="provisioning_credential_name_once_per_tenant"),
            models.CheckConstraint(
                name="provisioning_credential_name_in_form", condition=Q(name__regex=r"^[a-z0-9-]{1,40}$")
            ),
            models.CheckConstraint(
                name="provisioning_credential_ends_later", condition=Q(expires_at__gt=F("created_at"))
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ProvisioningPermit(models.Model):
    """An operator's word that a vehicle which is known already may be given a certificate once more, or other ECUs.

    A reset vehicle needs both: after its certificate the permit stands until it has registered its ECUs.
    """

    vehicle = models.OneToOneField("fleet.Vehicle", models.CASCADE, related_name="provisioning_permit")
    reason = models.TextField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # When the certificate was given.
    provisioned_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="provisioning_permit_has_reason", condition=~Q(reason="")),
            models.CheckConstraint(name="provisioning_permit_ends_later", condition=Q(expires_at__gt=F("created_at"))),
        ]

    def __str__(self) -> str:
        return f"permit to provision {self.vehicle}"
