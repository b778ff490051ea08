"""How people get in, and what acts for them."""

from django.db import models
from django.db.models import F, Q

from otaserver.people.states import SignInStep
from otaserver.tenants.models import Member, Tenant, User
from otaserver.tenants.states import Role


class PersonalToken(models.Model):
    """A credential with which a program acts as one member, with the role that the member has at the time.

    It goes with the membership: the database removes it together with the member.
    """

    member = models.ForeignKey(Member, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    # Which of the member's permissions it carries; null: all of them.
    permissions = models.JSONField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("member", "name", name="personal_token_name_once_per_member"),
            models.CheckConstraint(
                name="personal_token_expires_after_it_is_made", condition=Q(expires_at__gt=F("created_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.member.user}"


class Invitation(models.Model):
    """A link by which one person becomes a member, once."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=20, choices=Role.choices)
    # Where the link was sent, if it was; whoever has the link may use it.
    email = models.EmailField(blank=True)
    sha256 = models.CharField(max_length=64, unique=True)
    created_by = models.CharField(max_length=150)
    # By which personal token of theirs; empty: none. The invitation goes with it.
    made_with = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.CharField(max_length=150, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="invitation_accepted_or_revoked_not_both",
                condition=Q(accepted_at__isnull=True) | Q(revoked_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"as {self.role} of {self.tenant}"


class SignIn(models.Model):
    """One try to sign in. What was typed as a name is kept as a hash: it may have been a password."""

    account_sha256 = models.CharField(max_length=64)
    address = models.GenericIPAddressField()
    step = models.CharField(max_length=20, choices=SignInStep.choices)
    at = models.DateTimeField()
    # Written when the try begins and changed if it succeeds, so that tries at once count each other.
    has_succeeded = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index("account_sha256", "at", name="sign_in_by_account"),
            models.Index("address", "at", name="sign_in_by_address"),
            models.Index("at", name="sign_in_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.step} from {self.address}"


class Authenticator(models.Model):
    """What a person's time-based codes come from (RFC 6238); one that is not confirmed yet is being set up."""

    user = models.ForeignKey(User, models.CASCADE, related_name="authenticators")
    # As `otaserver.sealing` has it: the database alone shows no codes.
    sealed_secret = models.TextField()
    is_confirmed = models.BooleanField(default=False)
    # By how many steps its clock was off, and the step of the last code taken: none counts twice.
    drift_steps = models.SmallIntegerField(default=0)
    last_step = models.BigIntegerField(default=-1)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("user", "is_confirmed", name="authenticator_one_in_use_and_one_being_set_up"),
        ]

    def __str__(self) -> str:
        return f"authenticator of {self.user}"


class SignOnIdentity(models.Model):
    """Who a person is to an issuer of single sign-on: its subject, which no other account of it ever has."""

    user = models.OneToOneField(User, models.CASCADE, related_name="sign_on_identity")
    issuer = models.CharField(max_length=200)
    subject = models.CharField(max_length=255)
    # When the issuer last let the person in: their tokens act for them for so long after it, and no longer.
    signed_on_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("issuer", "subject", name="sign_on_identity_once_per_issuer")]
        verbose_name_plural = "sign-on identities"

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class SignOut(models.Model):
    """An issuer's notice that sessions have ended, taken once; a session of the name in it is over."""

    issuer = models.CharField(max_length=200)
    # What the issuer calls the notice (jti) and the session (sid); no session: all of a person's.
    notice = models.CharField(max_length=255)
    session_id = models.CharField(max_length=255, blank=True)
    at = models.DateTimeField()
    forget_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("issuer", "notice", name="sign_out_notice_once_per_issuer")]
        indexes = [
            models.Index("issuer", "session_id", name="sign_out_by_session"),
            models.Index("forget_at", name="sign_out_by_end"),
        ]

    def __str__(self) -> str:
        return f"sign-out {self.notice}"
