"""Devices that ask to be let in with a key of their own making, as Mender's do; people decide on each."""

from django.db import models
from django.db.models import Q

from otaserver.fleet.states import AUTHENTICATION_TRANSITIONS, AuthenticationState
from otaserver.statemachine import StatefulModel


class TenantToken(models.Model):
    """What a tenant's devices say to be counted among them. It lets nobody in: it only says who decides.

    Stored as a hash; a fleet that comes from elsewhere keeps the token that it was made with.
    """

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="device_tokens")
    name = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64, unique=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "name", name="tenant_token_name_once_per_tenant")]

    def __str__(self) -> str:
        return f"{self.name} of {self.tenant}"


class AuthenticationSet(StatefulModel):
    """One identity together with one public key, and what was decided of the two.

    `identity` is what the device says of itself; nothing proves it, which is why somebody decides. `identity_sha256` is
    over its canonical JSON, `key_sha256` over the key's SubjectPublicKeyInfo.
    """

    TRANSITIONS = AUTHENTICATION_TRANSITIONS
    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="authentication_sets", db_index=False)
    identity = models.JSONField()
    identity_sha256 = models.CharField(max_length=64)
    public_key = models.TextField()
    key_sha256 = models.CharField(max_length=64)
    # The vehicle that it would be, by its identity or by whoever expects it; empty: whoever accepts it says so.
    claimed_vehicle_id = models.CharField(max_length=64, blank=True)
    state = models.CharField(
        max_length=20, choices=AuthenticationState.choices, default=AuthenticationState.PENDING, db_index=True
    )
    # The vehicle that it is since it was accepted.
    vehicle = models.ForeignKey(
        "fleet.Vehicle", models.CASCADE, related_name="authentication_sets", null=True, blank=True
    )
    created_at = models.DateTimeField()
    # Who first asked, and when it last did; empty and null before it did.
    address = models.CharField(max_length=45, blank=True)
    requested_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    # Why it was rejected, or why what was expected could not be accepted.
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "identity_sha256", "key_sha256", name="authentication_set_once"),
            # Of a device's keys one opens the door.
            models.UniqueConstraint(
                "vehicle",
                name="authentication_set_one_accepted_per_vehicle",
                condition=Q(state=AuthenticationState.ACCEPTED),
            ),
            models.CheckConstraint(
                name="authentication_set_accepted_has_vehicle",
                condition=~Q(state=AuthenticationState.ACCEPTED) | Q(vehicle__isnull=False),
            ),
        ]
        indexes = [
            models.Index("tenant", "state", "address", name="authentication_set_waiting"),
            models.Index("tenant", "claimed_vehicle_id", name="authentication_set_claimed"),
        ]

    def __str__(self) -> str:
        return self.claimed_vehicle_id or f"identity {self.identity_sha256[:16]}"
