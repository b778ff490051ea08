"""Becoming a member by a link that is used once. Whoever has the link may use it, so it ends soon."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from otaserver.audit import operations as audit
from otaserver.people import rules
from otaserver.people.errors import (
    AlreadyMemberError,
    InvitationInvalidError,
    UsernameRefusedError,
    UsernameTakenError,
)
from otaserver.people.models import Invitation
from otaserver.people.operations.members import refuse_role_beyond
from otaserver.people.rules import INVITATION_LIFE, Grantor
from otaserver.tenants.models import Member, Tenant, User
from otaserver.tenants.operations import token_sha256


@dataclass(frozen=True)
class Newcomer:
    """Somebody without an account yet; the password has been looked at by the edge that received it."""

    username: str
    password: str
    email: str = ""


@transaction.atomic
def invite(tenant: Tenant, *, role: str, by: Grantor, at: datetime, email: str = "") -> tuple[Invitation, str]:
    """Make a one-time link for a member to be; return the invitation and the secret part of its link, shown once.

    It ends no later than what `by` may itself.

    Raises:
        BeyondOwnPermissionsError: the role may what `by` may not.
    """
    refuse_role_beyond(by, role)
    secret = secrets.token_urlsafe(32)
    made = Invitation.objects.create(
        tenant=tenant,
        role=role,
        email=email,
        sha256=token_sha256(secret),
        created_by=by.actor,
        made_with=by.personal_token,
        created_at=at,
        expires_at=min(at + INVITATION_LIFE, by.until or at + INVITATION_LIFE),
    )
    audit.record("member.invited", made, tenant=tenant, by=by.actor, at=at, role=role, email=email)
    return made, secret


def find_invitation(secret: str, *, at: datetime) -> Invitation:
    """Return the invitation that may be accepted with this secret.

    Raises:
        InvitationInvalidError: unknown, used, revoked or too old; the message does not tell which.
    """
    found = (
        Invitation.objects.select_related("tenant")
        .filter(sha256=token_sha256(secret), accepted_at=None, revoked_at=None, expires_at__gt=at)
        .first()
    )
    if found is None:
        raise InvitationInvalidError("The invitation is unknown, used, revoked or too old; ask for another.")
    return found


@transaction.atomic
def accept_invitation(secret: str, *, user: User, at: datetime) -> Member:
    """Make a person a member; the invitation is used up.

    Raises:
        InvitationInvalidError: as `find_invitation`, also for the second of two at once.
        AlreadyMemberError: they are one, and the invitation is left for who is not.
    """
    invitation = find_invitation(secret, at=at)
    rows = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if not rows.update(accepted_at=at, accepted_by=user.username):
        raise InvitationInvalidError("The invitation is unknown, used, revoked or too old; ask for another.")
    try:
        with transaction.atomic():
            member = Member.objects.create(tenant=invitation.tenant, user=user, role=invitation.role)
    except IntegrityError as error:
        raise AlreadyMemberError(f"{user} is a member of {invitation.tenant} already.", username=str(user)) from error
    audit.record(
        "member.joined",
        str(user),
        tenant=invitation.tenant,
        by=user.username,
        at=at,
        role=invitation.role,
        invited_by=invitation.created_by,
    )
    return member


@transaction.atomic
def join_by_invitation(secret: str, newcomer: Newcomer, *, at: datetime) -> Member:
    """Make an account and with it a member.

    Raises:
        InvitationInvalidError: as `accept_invitation`.
        UsernameRefusedError: nobody can have that name.
        UsernameTakenError: somebody has that name, in whatever case it is written.
    """
    find_invitation(secret, at=at)
    problem = rules.username_problem(newcomer.username)
    if problem:
        raise UsernameRefusedError(problem, username=newcomer.username)
    try:
        with transaction.atomic():
            user = User.objects.create_user(newcomer.username, newcomer.email, newcomer.password)
    except IntegrityError as error:
        raise UsernameTakenError(f"The name {newcomer.username} is taken.", username=newcomer.username) from error
    return accept_invitation(secret, user=user, at=at)
