"""What an issuer says without a browser: that somebody's sessions have ended there (Back-Channel Logout 1.0)."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from otaserver.audit import operations as audit
from otaserver.people.errors import LogoutRepeatedError
from otaserver.people.models import SignOnIdentity, SignOut
from otaserver.people.operations.members import end_sessions
from otaserver.people.sign_on_rules import LogoutNotice
from otaserver.tenants.models import Tenant

_ACTOR = "sign-on"


@transaction.atomic
def sign_out(notice: LogoutNotice, *, at: datetime) -> None:
    """End the session that an issuer names, or all sessions of the person where it names none. Nobody known: nothing.

    Where the settings say so, the person's tokens act for them again only after their next single sign-on.

    Raises:
        LogoutRepeatedError: this notice was taken before.
    """
    # A session of this name must be refused for as long as there may be one.
    until = max(notice.expires_at, at + timedelta(seconds=settings.SESSION_COOKIE_AGE))
    try:
        with transaction.atomic():
            SignOut.objects.create(
                issuer=notice.issuer, notice=notice.id, session_id=notice.session_id, at=at, forget_at=until
            )
    except IntegrityError as error:
        raise LogoutRepeatedError("This logout was taken before.") from error
    known = SignOnIdentity.objects.filter(issuer=notice.issuer, subject=notice.subject) if notice.subject else None
    identity = known.select_related("user").first() if known is not None else None
    if known is None or identity is None:
        return
    if not notice.session_id:
        end_sessions(identity.user)
    if settings.OIDC_LOGOUT_ENDS_TOKENS:
        known.update(signed_on_at=at - timedelta(hours=settings.OIDC_TOKEN_HOURS))
    for tenant in Tenant.objects.filter(members__user=identity.user).order_by("pk"):
        scope = "one" if notice.session_id else "all"
        audit.record("sign_on.signed_out", str(identity.user), tenant=tenant, by=_ACTOR, at=at, sessions=scope)


def forget_sign_outs(*, at: datetime) -> int:
    """Remove notices that can be neither repeated nor asked for any more, and return how many."""
    return SignOut.objects.filter(forget_at__lte=at).delete()[0]
