"""What vehicles of protocols without manifests and enrolment need: attributes as they say them, shared tokens."""

from django.db import models

REPORTED_NAME_LENGTH = 128


class ReportedAttribute(models.Model):
    """One attribute of a vehicle in its own words, as it last reported it, declared by the tenant or not."""

    # The constraint below begins with it, so that it needs no index of its own.
    vehicle = models.ForeignKey("fleet.Vehicle", models.CASCADE, related_name="reported_attributes", db_index=False)
    name = models.CharField(max_length=REPORTED_NAME_LENGTH)
    text = models.TextField(blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        app_label = "fleet"
        ordering = ["name"]
        constraints = [models.UniqueConstraint("vehicle", "name", name="reported_attribute_once_per_vehicle")]

    def __str__(self) -> str:
        return f"{self.name} of {self.vehicle}"


class GatewayToken(models.Model):
    """A token with which a gateway, or a whole fleet, speaks for any vehicle of one tenant; stored as its SHA-256."""

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="gateway_tokens")
    name = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "fleet"
        constraints = [
            models.UniqueConstraint("tenant", "name", name="gateway_token_name_once_per_tenant"),
            models.UniqueConstraint("tenant", "sha256", name="gateway_token_once_per_tenant"),
        ]

    def __str__(self) -> str:
        return f"gateway token {self.name} of {self.tenant}"
