"""What vehicles of protocols without manifests and enrolment need: attributes as they say them, shared tokens."""

from django.db import models

from otaserver.tenants.telling import Tells

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
            Tells(
                name="gateway_token_tells",
                tenant="{row}.tenant_id",
                updates=["tenant", "sha256", "revoked_at"],
                deletes=True,
            ),
        ]

    def __str__(self) -> str:
        return f"gateway token {self.name} of {self.tenant}"


class DdiSettings(models.Model):
    """How a tenant's vehicles that speak hawkBit's DDI are read; without a row, the defaults hold."""

    tenant = models.OneToOneField("tenants.Tenant", models.CASCADE, related_name="ddi_settings")
    # The hardware id of a vehicle that registers itself, until it says otherwise.
    default_hardware_id = models.CharField(max_length=64, default="unknown")
    # The reported attribute (configData) that tells a vehicle's hardware id; empty: none does.
    hardware_attribute = models.CharField(max_length=REPORTED_NAME_LENGTH, blank=True)
    # The one that tells the version that it runs: evidence beside its word. Empty: its word is all there is.
    version_attribute = models.CharField(max_length=REPORTED_NAME_LENGTH, blank=True)
    # Which `part` a package for a hardware id is called, by hardware id; "os" where none is named.
    chunk_parts = models.JSONField(default=dict, blank=True)
    # Who may vouch for a vehicle by headers of a trusted proxy: names of authorities, or issuer hashes. None: nobody.
    authorities = models.JSONField(default=list, blank=True)

    class Meta:
        app_label = "fleet"
        verbose_name_plural = "DDI settings"
        constraints = [
            models.CheckConstraint(
                name="ddi_settings_have_default_hardware", condition=~models.Q(default_hardware_id="")
            ),
            Tells(
                name="ddi_settings_tell", tenant="{row}.tenant_id", inserts=True, updates=["authorities"], deletes=True
            ),
        ]

    def __str__(self) -> str:
        return f"DDI settings of {self.tenant}"
