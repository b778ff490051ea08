"""An append-only, hash-chained record of who did what, when. One chain per tenant."""

from django.db import models

from otaserver.tenants.models import Tenant


class Chain(models.Model):
    """The head of one tenant's chain; locked last, so that entries get consecutive numbers."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, related_name="audit_chain")
    length = models.PositiveBigIntegerField(default=0)
    head_hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"audit chain of {self.tenant}"


class Entry(models.Model):
    """One decision of an operator or of the engine. Never deleted, and never changed but by `operations.erase`."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="audit_entries", db_index=False)
    number = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    subject = models.CharField(max_length=300)
    details = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    # What the hash covers of subject and details (`rules.content_digest`); without a salt these were erased in part.
    salt = models.CharField(max_length=32, blank=True)
    content_sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "number", name="entry_number_once_per_tenant")]
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return f"{self.number} {self.action} {self.subject}"
