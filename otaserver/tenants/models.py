"""Who owns everything, and who may act for them."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac

from otaserver.deferring import Deferring
from otaserver.tenants import answer_models, change_models, keeping_models  # noqa: F401 - their models belong to this app too
from otaserver.tenants.states import ForeignSoftware, Role
from otaserver.tenants.telling import Tells


class User(AbstractUser):
    """A person who signs in to the console; what they may do comes from their memberships.

    Their name stands in the records of every tenant for ever: it never changes, and nobody else gets it.
    """

    # Part of what every session is checked against: adding one ends all sessions of this person at once.
    session_epoch = models.PositiveIntegerField(default=0)
    # Of the session that a request belongs to, set by the console: whether a second factor was shown in it, and the one
    # tenant that its person has chosen to look at (None: all of theirs).
    has_second_factor = False
    chosen_tenant_id: int | None = None

    class Meta:
        constraints = [models.UniqueConstraint(Lower("username"), name="user_name_once_without_case")]

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        # Django's own covers the password, and is asked of every request, with each secret key that still counts.
        of_password = super()._get_session_auth_hash(secret)  # type: ignore[misc]
        salt = "otaserver.tenants.User.session"
        return salted_hmac(salt, f"{of_password}{self.session_epoch}", secret=secret, algorithm="sha256").hexdigest()


class Tenant(Deferring):
    """A brand, customer or team; owns everything else, and nothing crosses it."""

    # Lower case, so that names compare without case (hawkBit's clients send either).
    name = models.SlugField(max_length=63, unique=True)
    title = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    polling_seconds = models.PositiveIntegerField(default=300)
    has_public_targets = models.BooleanField(default=False)
    foreign_software = models.CharField(max_length=20, choices=ForeignSoftware.choices, default=ForeignSoftware.FLAG)
    # The emergency stop for everything that this tenant runs.
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_reason = models.TextField(blank=True)
    # How many people other than its authors must approve a campaign; 0: whoever drafts one may approve it alone.
    required_approvals = models.PositiveSmallIntegerField(default=1)
    # Whether roll-backs need as many; if not, one person drafts, approves and starts one.
    rollbacks_need_approval = models.BooleanField(default=False)
    # For how long after its end a vehicle's last credential may still fetch new ones, and do nothing else; 0: never.
    late_renewal_days = models.PositiveIntegerField(default=1095)
    # Whether people see this tenant in the console only after a second factor.
    second_factor_required = models.BooleanField(default=False)

    # How many bytes its packages and uploads may take; null: as many as fit.
    storage_quota_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    # Raised by a restore: versions of online metadata and numbers of attempts go on above it.
    version_floor = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(name="tenant_late_renewal_in_range", condition=Q(late_renewal_days__lte=3650)),
            models.CheckConstraint(name="tenant_required_approvals_in_range", condition=Q(required_approvals__lte=10)),
            models.CheckConstraint(name="tenant_name_lower_case", condition=Q(name=Lower("name"))),
            models.CheckConstraint(name="tenant_polling_in_range", condition=Q(polling_seconds__range=(1, 86400))),
            Tells(
                name="tenant_tells",
                tenant="{row}.id",
                updates=["name", "polling_seconds", "stopped_at", "version_floor"],
                deletes=True,
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Member(models.Model):
    """One user's role in one tenant."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="members")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    # Given by single sign-on, which changes it and takes it away; by hand otherwise.
    is_from_single_sign_on = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "user", name="member_once_per_tenant")]

    def __str__(self) -> str:
        return f"{self.user} as {self.role} of {self.tenant}"


class ServiceToken(models.Model):
    """A credential for a program: shown once, stored as a hash, with a role, an expiry and an end."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="service_tokens")
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=20, choices=Role.choices)
    # Which of the role's permissions it carries; null: all of them, also those that the role gets later.
    permissions = models.JSONField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, unique=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "name", name="service_token_name_once_per_tenant")]

    def __str__(self) -> str:
        return f"{self.name} of {self.tenant}"
