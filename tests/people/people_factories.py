"""Members, and callers that act as them."""

from datetime import timedelta

from django_otp.oath import TOTP

from otaserver import sealing
from otaserver.people import operations
from otaserver.people.models import Authenticator
from otaserver.people.rules import Grantor
from otaserver.tenants.models import Member, User
from otaserver.tenants.states import PERMISSIONS, Permission, Role
from tests.factories import NOON

PASSWORD = "correct horse battery"
ROOT = Grantor("root", frozenset(Permission))


def make_member(tenant, username="mia", role=Role.ADMINISTRATOR):
    user = User.objects.filter(username=username).first() or User.objects.create_user(username, password=PASSWORD)
    return Member.objects.create(tenant=tenant, user=user, role=role)


def grantor(member):
    return Grantor(member.user.username, PERMISSIONS[member.role])


def make_personal_token(member, name="laptop", *, days=30, permissions=None):
    """Return a personal token as its member sends it."""
    _, secret = operations.issue_personal_token(
        member,
        name=name,
        by=grantor(member),
        at=NOON,
        expires_at=NOON + timedelta(days=days),
        permissions=permissions,
    )
    return secret


def code_of(user, at=NOON, *, steps=0):
    """What the person's newest authenticator shows, so many steps of 30 seconds from then."""
    algorithm = TOTP(sealing.unseal(Authenticator.objects.filter(user=user).latest("pk").sealed_secret))
    algorithm.time = at.timestamp() + 30 * steps
    return f"{algorithm.token():06}"
