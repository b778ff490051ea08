"""Single sign-on: whose account a person of an issuer has here, and what their groups give them.

Roles given by hand are left alone; those that single sign-on gave follow the groups at each sign-in.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from otaserver.audit import operations as audit
from otaserver.people import rules, sign_on_rules
from otaserver.people.errors import (
    AccountElsewhereError,
    AccountInactiveError,
    AccountTakenError,
    EmailUnverifiedError,
    LastAdministratorError,
    NoGroupError,
    SignInRefusedError,
)
from otaserver.people.models import SignOnIdentity
from otaserver.people.operations.members import change_role, lock, remove_member
from otaserver.people.rules import Grantor
from otaserver.people.sign_on_rules import Grant, Statement
from otaserver.tenants.models import Member, Tenant, User
from otaserver.tenants.states import Permission

# Who gives and takes these roles, in the records.
_ACTOR = "sign-on"


def sign_on(stated: Statement, *, grants: Sequence[Grant], at: datetime) -> User:
    """Return the account of a person whom an issuer states, with the roles that their groups give now.

    They are known by issuer and subject. Before that is known, by a verified e-mail address, which finds an account
    made by hand or names a new one. Roles that their groups give no more are taken away, also where they are refused.

    Raises:
        SignInRefusedError: nobody who may come in; the records of the tenants of an account that is theirs say so.
    """
    try:
        user = _settled_or_taken(stated, grants, at=at)
        if not user.memberships.exists():
            raise NoGroupError("None of your groups gives you a role here.")
    except SignInRefusedError as refusal:
        _record_refusal(stated, refusal, at=at)
        raise
    return user


def _settled_or_taken(stated: Statement, grants: Sequence[Grant], *, at: datetime) -> User:
    try:
        return _settled(stated, grants, at=at)
    except IntegrityError as error:
        # Of two first sign-ins at once, or of one and an accepted invitation, the database lets one through.
        raise AccountTakenError("Your account was changed at this very moment; sign in again.") from error


@transaction.atomic
def _settled(stated: Statement, grants: Sequence[Grant], *, at: datetime) -> User:
    roles = sign_on_rules.roles_of(stated.groups, grants)
    is_given = Tenant.objects.filter(name__in=roles).exists()
    identity = SignOnIdentity.objects.select_related("user").filter(issuer=stated.issuer, subject=stated.subject)
    known = identity.first()
    user = known.user if known is not None else _first_time(stated, grants, has_role=is_given, at=at)
    _refuse_account(user)
    identity.update(signed_on_at=at)
    # Always in the same order: each is locked.
    for tenant in Tenant.objects.filter(Q(members__user=user) | Q(name__in=roles)).distinct().order_by("pk"):
        _follow_groups(user, lock(tenant), roles.get(tenant.name), at=at)
        if known is None:
            audit.record("sign_on.linked", str(user), tenant=tenant, by=_ACTOR, at=at, issuer=stated.issuer)
    # With the sessions that have just been ended counted.
    return User.objects.get(pk=user.pk)


def _first_time(stated: Statement, grants: Sequence[Grant], *, has_role: bool, at: datetime) -> User:
    if not (stated.email and stated.is_email_verified):
        raise EmailUnverifiedError("The issuer does not say that your e-mail address is verified.")
    found = list(User.objects.filter(email__iexact=stated.email)[:2])
    if not found and not has_role:
        raise NoGroupError("None of your groups gives you a role here.")
    user = _one_of(found, stated.email, {grant.tenant for grant in grants}) if found else _new_account(stated.email)
    SignOnIdentity.objects.create(user=user, issuer=stated.issuer, subject=stated.subject, signed_on_at=at)
    return user


def _one_of(found: Sequence[User], email: str, tenants: set[str]) -> User:
    """Return the account that somebody else made for this address, if it may become theirs."""
    user = found[0]
    if len(found) > 1:
        raise AccountTakenError(f"Several accounts have the address {email}.")
    _refuse_account(user)
    if SignOnIdentity.objects.filter(user=user).exists():
        raise AccountTakenError(f"The account with the address {email} belongs to somebody else at the issuer.")
    # Whoever runs an issuer may state any address, and so be anybody in its own tenants, and nobody in others.
    if user.memberships.exclude(tenant__name__in=tenants).exists():
        raise AccountElsewhereError(f"The account with the address {email} has a role that single sign-on cannot give.")
    return user


def _refuse_account(user: User) -> None:
    if not user.is_active:
        raise AccountInactiveError(f"The account {user} is deactivated.")
    if user.is_superuser:
        raise AccountElsewhereError(f"The account {user} is the whole server's, and signs in with its password.")


def _new_account(email: str) -> User:
    name = sign_on_rules.name_from(email)
    problem = rules.username_problem(name)
    if problem:
        raise AccountTakenError(problem)
    try:
        with transaction.atomic():
            # Without a password: only single sign-on lets them in.
            return User.objects.create_user(name, email)
    except IntegrityError as error:
        raise AccountTakenError(f"The name {name} is somebody else's here.") from error


def _follow_groups(user: User, tenant: Tenant, role: str | None, *, at: datetime) -> None:
    member = Member.objects.filter(tenant=tenant, user=user).first()
    if member is None and role is not None:
        _join(user, tenant, role, at=at)
    elif member is not None and member.is_from_single_sign_on:
        _change(member, role, at=at)


def _join(user: User, tenant: Tenant, role: str, *, at: datetime) -> None:
    Member.objects.create(tenant=tenant, user=user, role=role, is_from_single_sign_on=True)
    details = {"role": role, "invited_by": _ACTOR}
    audit.record("member.joined", str(user), tenant=tenant, by=user.get_username(), at=at, **details)


def _change(member: Member, role: str | None, *, at: datetime) -> None:
    try:
        if role is None:
            remove_member(member, by=_ACTOR, at=at)
        else:
            change_role(member, role=role, by=Grantor(_ACTOR, frozenset(Permission)), at=at)
    except LastAdministratorError as refusal:
        # A tenant that nobody administers could only be helped on the server.
        details = {"role": member.role, "code": refusal.code}
        audit.record("sign_on.role_kept", str(member.user), tenant=member.tenant, by=_ACTOR, at=at, **details)


@transaction.atomic
def _record_refusal(stated: Statement, refusal: SignInRefusedError, *, at: datetime) -> None:
    known = SignOnIdentity.objects.select_related("user").filter(issuer=stated.issuer, subject=stated.subject).first()
    if known is None:
        return
    for tenant in Tenant.objects.filter(members__user=known.user).order_by("pk"):
        audit.record("sign_on.refused", str(known.user), tenant=tenant, by=_ACTOR, at=at, code=refusal.code)
