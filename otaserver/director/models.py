"""What each vehicle should run, signed for it alone, and what each has said that it runs."""

from django.db import models
from django.db.models import F

from firmware_store.states import Profile
from otaserver.fleet.models import Vehicle
from otaserver.tenants.telling import Tells


class Direction(models.Model):
    """What one vehicle is directed to run now. Changed by campaigns, read by the signer.

    `content` is what the signed targets will say (see `documents.order_content`), or null for "nothing to do".
    """

    vehicle = models.OneToOneField(Vehicle, models.CASCADE, related_name="direction")
    attempt_id = models.UUIDField(null=True, blank=True)
    content = models.JSONField(null=True, blank=True)
    # The order before this one: a vehicle may have been installing it, and reports what it then runs.
    previous_content = models.JSONField(null=True, blank=True)
    # Raised with every change; signed metadata of a lower revision is outdated.
    revision = models.PositiveBigIntegerField(default=0)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            Tells(
                name="direction_tells",
                vehicle="{row}.vehicle_id",
                inserts=True,
                updates=["attempt_id", "revision"],
                deletes=True,
            )
        ]

    def __str__(self) -> str:
        return f"direction of {self.vehicle}"


class VehicleMetadata(models.Model):
    """One vehicle's current Director metadata in one profile: targets, snapshot and timestamp, signed together."""

    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="director_metadata", db_index=False)
    profile = models.CharField(max_length=12, choices=Profile.choices)
    # The revision of the direction that these bytes state.
    revision = models.PositiveBigIntegerField()
    # The attempt that they state. Null when they state none: there is no order, or it is withheld because the vehicle
    # is blocked or its tenant stopped.
    attempt_id = models.UUIDField(null=True, blank=True)
    # The root version whose online keys signed them.
    root_version = models.PositiveIntegerField()
    targets_version = models.PositiveBigIntegerField()
    snapshot_version = models.PositiveBigIntegerField()
    timestamp_version = models.PositiveBigIntegerField()
    targets = models.BinaryField()
    snapshot = models.BinaryField()
    timestamp = models.BinaryField()
    targets_expires_at = models.DateTimeField()
    timestamp_expires_at = models.DateTimeField()
    signed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("vehicle", "profile", name="vehicle_metadata_once_per_profile"),
            Tells(
                name="vehicle_metadata_tells",
                vehicle="{row}.vehicle_id",
                updates=["revision", "attempt_id", "root_version", "targets", "timestamp"],
                deletes=True,
            ),
        ]
        verbose_name_plural = "vehicle metadata"

    def __str__(self) -> str:
        return f"Director metadata of {self.vehicle}"


class Manifest(models.Model):
    """One vehicle version manifest as received (Uptane deployment practice, repositories).

    Of a run of them that say the same, the first and the last are kept: what ran, and from when to when. The next of
    such a run takes the row of the last; nothing else changes one.
    """

    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="manifests", db_index=False)
    received_at = models.DateTimeField()
    sha256 = models.CharField(max_length=64)
    body = models.BinaryField()
    is_accepted = models.BooleanField()
    # Why it was refused (a stable code), or empty.
    refused_code = models.CharField(max_length=80, blank=True)
    # What is odd in an accepted one: unknown or missing ECUs, unassigned images, attacks that an ECU reports.
    findings = models.JSONField(default=list)
    # SHA-256 over what it says, without counters, times and signatures; empty where it is kept whatever follows.
    said_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [
            models.Index("vehicle", F("received_at").desc(), name="manifest_recent"),
            models.Index("vehicle", "sha256", name="manifest_resend"),
        ]

    def __str__(self) -> str:
        return f"manifest of {self.vehicle} at {self.received_at:%Y-%m-%d %H:%M:%S}"


class InstalledImage(models.Model):
    """One change of what an ECU proved to run, since the manifest that first said so; append-only.

    Without a manifest it is asserted: the word of a vehicle whose protocol has none.

    By serial: it outlives the ECU's row, which a new enrolment replaces.
    """

    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="installed_images", db_index=False)
    ecu_serial = models.CharField(max_length=64)
    manifest = models.ForeignKey(Manifest, models.RESTRICT, related_name="installed_images", null=True, blank=True)
    target_name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    length = models.BigIntegerField()
    since = models.DateTimeField()

    class Meta:
        indexes = [models.Index("vehicle", "ecu_serial", "since", name="installed_image_by_time")]

    def __str__(self) -> str:
        return f"{self.target_name} on {self.ecu_serial}"
