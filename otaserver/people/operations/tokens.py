import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from otaserver.audit import operations as audit
from otaserver.people import rules
from otaserver.people.errors import (
    BeyondOwnPermissionsError,
    ExpiryRefusedError,
    OutlivesCallerError,
    ScopesRefusedError,
)
from otaserver.people.models import PersonalToken
from otaserver.people.operations.open_invitations import end_invitations, end_invitations_of
from otaserver.people.rules import Grantor
from otaserver.tenants import operations as tenants
from otaserver.tenants.errors import TokenInvalidError, TokenNameTakenError
from otaserver.tenants.models import Member, ServiceToken, Tenant
from otaserver.tenants.rules import permissions_of

# Tells a personal token from a service token without asking for both.
PERSONAL_PREFIX = "otap_"


@transaction.atomic
def issue_service_token(
    tenant: Tenant,
    *,
    name: str,
    role: str,
    by: Grantor,
    at: datetime,
    expires_at: datetime | None = None,
    permissions: Sequence[str] | None = None,
) -> tuple[ServiceToken, str]:
    """Create a service token that may no more than who makes it; return it with what is shown once.

    Raises:
        ScopesRefusedError: the role does not have one of the permissions, or there are none.
        ExpiryRefusedError: it would end in the past or too far away.
        BeyondOwnPermissionsError: it could do what `by` may not.
        OutlivesCallerError: it would outlive the token that makes it.
        TokenNameTakenError: the tenant has a token of that name, perhaps a revoked one.
    """
    _refuse(role, permissions, by=by, at=at, expires_at=expires_at)
    secret = tenants.issue_service_token(
        tenant, name=name, role=role, by=by.actor, at=at, expires_at=expires_at, permissions=_listed(permissions)
    )
    made = ServiceToken.objects.get(tenant=tenant, name=name)
    audit.record(
        "token.created",
        name,
        tenant=tenant,
        by=by.actor,
        at=at,
        role=role,
        permissions=made.permissions,
        expires_at=None if expires_at is None else expires_at.isoformat(),
    )
    return made, secret


@transaction.atomic
def revoke_service_token(token: ServiceToken, *, by: str, at: datetime) -> None:
    """End a service token now, with the open invitations that it made. Revoking a revoked one changes nothing."""
    if tenants.revoke_service_token(token, at=at):
        end_invitations(token.tenant, f"token:{token.name}", by=by, at=at)
        audit.record("token.revoked", token.name, tenant=token.tenant, by=by, at=at)


@transaction.atomic
def issue_personal_token(
    member: Member,
    *,
    name: str,
    by: Grantor,
    at: datetime,
    expires_at: datetime,
    permissions: Sequence[str] | None = None,
) -> tuple[PersonalToken, str]:
    """Create a token that acts as the member; return it with what is shown once: only its SHA-256 is kept.

    Raises:
        ScopesRefusedError, ExpiryRefusedError, BeyondOwnPermissionsError, OutlivesCallerError: as for a service token.
        TokenNameTakenError: the member has a token of that name, perhaps a revoked one.
    """
    _refuse(member.role, permissions, by=by, at=at, expires_at=expires_at)
    secret = PERSONAL_PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            made = PersonalToken.objects.create(
                member=member,
                name=name,
                permissions=_listed(permissions),
                sha256=tenants.token_sha256(secret),
                created_at=at,
                expires_at=expires_at,
            )
    except IntegrityError as error:
        raise TokenNameTakenError(f"{member.user} has a token {name!r} already.", name=name) from error
    audit.record(
        "personal_token.created",
        f"{member.user}: {name}",
        tenant=member.tenant,
        by=by.actor,
        at=at,
        permissions=made.permissions,
        expires_at=expires_at.isoformat(),
    )
    return made, secret


def authenticate_personal_token(token: str, *, at: datetime) -> PersonalToken:
    """Return the live personal token that this is, with its member, and note its use.

    Of a person whom an issuer lets in it counts for so long after their last single sign-on: whoever has left the
    issuer does not come back, and nobody says so here.

    Raises:
        TokenInvalidError: unknown, expired or revoked, or its member may not sign in; the message does not tell which.
    """
    since = at - timedelta(hours=settings.OIDC_TOKEN_HOURS)
    identity = "member__user__sign_on_identity"
    is_still_there = Q(**{f"{identity}__isnull": True}) | Q(**{f"{identity}__signed_on_at__gt": since})
    # Looked up by hash: the index sees nothing that tells how near a guess was.
    found = (
        PersonalToken.objects.select_related("member__tenant", "member__user")
        .filter(is_still_there, sha256=tenants.token_sha256(token), revoked_at=None, expires_at__gt=at)
        .filter(member__user__is_active=True)
        .first()
    )
    if found is None:
        raise TokenInvalidError("The token is unknown, expired or revoked.")
    tenants.note_use(found, at=at)
    return found


@transaction.atomic
def revoke_personal_token(token: PersonalToken, *, by: str, at: datetime) -> None:
    """End a personal token now, with the open invitations made with it. Revoking a revoked one changes nothing."""
    own = PersonalToken.objects.filter(pk=token.pk)
    if own.filter(revoked_at=None).update(revoked_at=at):
        end_invitations_of(own, by=by, at=at)
        member = token.member
        audit.record("personal_token.revoked", f"{member.user}: {token.name}", tenant=member.tenant, by=by, at=at)


@transaction.atomic
def revoke_all_tokens(member: Member, *, by: str, at: datetime) -> int:
    """End all personal tokens of a member now, with the open invitations made with them; return how many there were."""
    end_invitations_of(PersonalToken.objects.filter(member=member, revoked_at=None), by=by, at=at)
    ended = PersonalToken.objects.filter(member=member, revoked_at=None).update(revoked_at=at)
    if ended:
        audit.record("personal_tokens.revoked", str(member.user), tenant=member.tenant, by=by, at=at, number=ended)
    return ended


def _refuse(role: str, scopes: Sequence[str] | None, *, by: Grantor, at: datetime, expires_at: datetime | None) -> None:
    problem = rules.scopes_problem(role, scopes)
    if problem:
        raise ScopesRefusedError(problem, role=role, permissions=scopes)
    problem = rules.expiry_problem(expires_at, at=at)
    if problem:
        raise ExpiryRefusedError(problem, expires_at=None if expires_at is None else expires_at.isoformat())
    beyond = by.lacks(permissions_of(role, scopes))
    if beyond:
        raise BeyondOwnPermissionsError(
            f"{by.actor} does not have the permission {', '.join(beyond)} and cannot give it.", permissions=beyond
        )
    if by.until is not None and (expires_at is None or expires_at > by.until):
        raise OutlivesCallerError(
            f"The token that makes it ends at {by.until.isoformat()}; what it makes ends no later.",
            ends_at=by.until.isoformat(),
        )


def _listed(scopes: Sequence[str] | None) -> list[str] | None:
    return None if scopes is None else sorted(set(scopes))
