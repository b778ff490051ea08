"""What may be installed, and why it can be trusted."""

from django.db import models
from django.db.models import F, Q

from firmware_store import direct_models  # noqa: F401 - its model belongs to this app too
from firmware_store.states import PACKAGE_TRANSITIONS, ConditionKind, KeyFormat, PackageState, Profile, Repository
from otaserver.statemachine import StatefulModel
from otaserver.tenants.models import Tenant
from otaserver.tenants.telling import Tells


class Package(StatefulModel):
    """One signed, immutable file with a name, a version and the hardware ids that it fits.

    From `uploading` on it is known what the bytes will be (length, SHA-256); it is published once those bytes are here
    and a release role has signed them.
    """

    TRANSITIONS = PACKAGE_TRANSITIONS
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="packages")
    state = models.CharField(max_length=20, choices=PackageState.choices, default=PackageState.UPLOADING)
    # The delegated role that signs it; the target's name is `<role>/<name>-<version>`.
    role = models.CharField(max_length=40)
    name = models.CharField(max_length=80)
    version = models.CharField(max_length=60)
    target_name = models.CharField(max_length=200)
    hardware_ids = models.JSONField()
    # Anti-rollback epoch, signed by the release role: a vehicle refuses a lower one than it has committed.
    release_counter = models.PositiveIntegerField(default=0)
    filename = models.CharField(max_length=255)
    length = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    # Taken in the same pass, for the protocols that want them; empty until all bytes are here.
    sha512 = models.CharField(max_length=128, blank=True)
    sha1 = models.CharField(max_length=40, blank=True)
    md5 = models.CharField(max_length=32, blank=True)
    # What was read in the file at publishing (formats.facts), and the keys that its signature was held against.
    contents = models.JSONField(default=dict, blank=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)
    refused_code = models.CharField(max_length=80, blank=True)
    refused_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            # A name is never used again for other content, not even after a withdrawal (Uptane 5.3.1: unique filename).
            models.UniqueConstraint(
                "tenant", "target_name", name="package_target_name_once", condition=~Q(state=PackageState.REFUSED)
            ),
        ]
        indexes = [models.Index("tenant", "sha256", name="package_sha256")]

    def __str__(self) -> str:
        return self.target_name


class Release(models.Model):
    """The packages that a vehicle should run together. Immutable once published."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="releases")
    name = models.CharField(max_length=80)
    version = models.CharField(max_length=60)
    # Release notes by language tag (RFC 5646), shown to the owner.
    notes = models.JSONField(default=dict)
    # Codes of a vehicle's failure that halt every campaign of this release at once.
    halt_codes = models.JSONField(default=list)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)
    # What must have run before it: a vehicle with older software is taken there first.
    stepping_stone = models.ForeignKey("self", models.PROTECT, related_name="next_releases", null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "name", "version", name="release_version_once_per_tenant"),
            # Set once, when the release is made: so that no chain of stones can come back to where it began.
            models.CheckConstraint(
                name="release_stepping_stone_is_earlier",
                condition=Q(stepping_stone=None) | Q(stepping_stone__lt=F("id")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class ReleaseItem(models.Model):
    """One package of a release, with its place in the order of installation (lower first, equal together)."""

    release = models.ForeignKey(Release, models.CASCADE, related_name="items")
    package = models.ForeignKey(Package, models.PROTECT, related_name="release_items")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint("release", "package", name="release_item_once_per_release")]

    def __str__(self) -> str:
        return f"{self.package} in {self.release}"


class ReleaseCondition(models.Model):
    """What must, or must not, run on the vehicle beside this release.

    It speaks of a package name, and of exactly these versions of it (none means any): versions are names, not numbers,
    so nothing here compares them.
    """

    release = models.ForeignKey(Release, models.CASCADE, related_name="conditions")
    kind = models.CharField(max_length=10, choices=ConditionKind.choices)
    package_name = models.CharField(max_length=80)
    versions = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.kind} {self.package_name} {self.versions or 'any'}"


class ReleaseSignal(models.Model):
    """A number that vehicles report in their soak, by which the release is judged beside its installation.

    A vehicle whose worst value in its soak is above the limit counts as bad; the rates say how many may be.
    """

    release = models.ForeignKey(Release, models.CASCADE, related_name="signals")
    name = models.CharField(max_length=40)
    limit = models.FloatField()
    acceptable_rate = models.FloatField()
    unacceptable_rate = models.FloatField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("release", "name", name="release_signal_once_per_release"),
            models.CheckConstraint(name="release_signal_name_in_form", condition=Q(name__regex=r"^[a-z0-9_-]{1,40}$")),
            models.CheckConstraint(
                name="release_signal_rates_ordered",
                condition=Q(acceptable_rate__gt=0, unacceptable_rate__lt=1, acceptable_rate__lt=F("unacceptable_rate")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.release}"


class RoleMetadata(models.Model):
    """One version of one role's signed metadata, in one profile: canonical bytes, served verbatim, kept for ever."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="role_metadata")
    repository = models.CharField(max_length=10, choices=Repository.choices)
    # root, targets, snapshot, timestamp, or the name of a delegated role.
    role = models.CharField(max_length=40)
    profile = models.CharField(max_length=12, choices=Profile.choices)
    version = models.PositiveBigIntegerField()
    body = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "tenant", "repository", "role", "profile", "version", name="role_metadata_version_once"
            ),
            # With a new root every vehicle's metadata is signed anew, and who asks for the next root finds it.
            Tells(name="role_metadata_tells", tenant="{row}.tenant_id", inserts=True, where="{row}.role = 'root'"),
        ]
        verbose_name_plural = "role metadata"

    def __str__(self) -> str:
        return f"{self.repository} {self.version}.{self.role} ({self.profile})"


class OnlineKey(models.Model):
    """A key that the server itself signs with: where it is (a securesystemslib URI) and its public half."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="online_keys")
    repository = models.CharField(max_length=10, choices=Repository.choices)
    role = models.CharField(max_length=40)
    keyid = models.CharField(max_length=64)
    public_key = models.JSONField()
    uri = models.CharField(max_length=500)
    created_at = models.DateTimeField()
    # Made by a rotation it waits, inactive, for the root that lists it; the key it replaces retires in that moment.
    activated_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # Each key is used in one role only (Uptane deployment practice, key management).
            models.UniqueConstraint("tenant", "keyid", name="online_key_one_role"),
            models.UniqueConstraint(
                "tenant",
                "repository",
                "role",
                name="online_key_one_active_per_role",
                condition=Q(activated_at__isnull=False, retired_at=None),
            ),
            models.UniqueConstraint(
                "tenant",
                "repository",
                "role",
                name="online_key_one_waiting_per_role",
                condition=Q(activated_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.repository} {self.role} {self.keyid[:8]}"


class ExpiryWarning(models.Model):
    """One warning that signed metadata nears its end, so that each is given once."""

    metadata = models.ForeignKey(RoleMetadata, models.CASCADE, related_name="warnings")
    days = models.PositiveSmallIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("metadata", "days", name="expiry_warning_once")]

    def __str__(self) -> str:
        return f"{self.metadata} ends within {self.days} days"


class VerificationKey(models.Model):
    """What vehicles of one hardware (or of all) check the signature in package files of one format against.

    Certificates for CMS, or a public key. While there is one, a package for that hardware is published only with a
    signature that holds against it.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="verification_keys")
    name = models.CharField(max_length=80)
    format = models.CharField(max_length=10, choices=KeyFormat.choices)
    # Empty: for every hardware id that has no key of its own.
    hardware_id = models.CharField(max_length=64, blank=True)
    pem = models.TextField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "name", name="verification_key_name_once_per_tenant"),
            models.CheckConstraint(name="verification_key_format_known", condition=Q(format__in=KeyFormat.values)),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.format})"
