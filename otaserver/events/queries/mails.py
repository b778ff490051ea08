from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from otaserver.events.errors import MemberNotFoundError
from otaserver.events.models import Mail, MailPreference, MailSettings
from otaserver.events.rules.letters import BY_ROLE
from otaserver.events.rules.types import TYPES
from otaserver.events.states import MailKind, MailState
from otaserver.tenants.models import Member, Tenant, User


@dataclass(frozen=True)
class Reader:
    """A member, and what they are written to about."""

    username: str
    email: str
    role: str
    kinds: tuple[str, ...]
    is_chosen: bool


def mail_settings(tenant: Tenant) -> MailSettings:
    """Return a tenant's settings, or those that stand where nobody has set any: everything, to members alone."""
    found = MailSettings.objects.filter(tenant=tenant).first()
    return found or MailSettings(tenant=tenant, kinds=sorted(MailKind.values), addresses=[])


def members(tenant: Tenant) -> list[Reader]:
    """Return the members of a tenant and what each is written to about, by their names."""
    chosen = dict(MailPreference.objects.filter(tenant=tenant).values_list("user_id", "kinds"))
    rows = Member.objects.filter(tenant=tenant, user__is_active=True).select_related("user").order_by("user__username")
    return [
        Reader(
            username=row.user.get_username(),
            email=row.user.email,
            role=row.role,
            kinds=tuple(chosen.get(row.user_id, sorted(BY_ROLE.get(row.role, frozenset())))),
            is_chosen=row.user_id in chosen,
        )
        for row in rows
    ]


def member(tenant: Tenant, username: str) -> User:
    """Return the member of that name.

    Raises:
        MemberNotFoundError: there is none.
    """
    found = Member.objects.filter(tenant=tenant, user__username=username).select_related("user").first()
    if found is None:
        raise MemberNotFoundError(f"There is no member {username!a:.150}.", username=username)
    return found.user


def readers(tenant: Tenant) -> Mapping[str, Sequence[str]]:
    """Return the addresses that are written to about each kind."""
    settings = mail_settings(tenant)
    found: dict[str, list[str]] = {kind: list(settings.addresses) for kind in settings.kinds}
    for each in members(tenant):
        for kind in set(each.kinds) & found.keys():
            if each.email and each.email not in found[kind]:
                found[kind].append(each.email)
    return found


def has_reader(mail: Mail) -> bool:
    """Return whether somebody at a letter's address is still to read what it tells."""
    kinds = {TYPES[event.type].mail for event in mail.events.all()} - {None}
    found = readers(mail.tenant)
    return any(mail.address in found.get(str(kind), ()) for kind in kinds)


def due(at: datetime) -> QuerySet[Mail]:
    """Return the letters that are due, the oldest first."""
    rows = Mail.objects.filter(state=MailState.PENDING, due_at__lte=at).select_related("tenant")
    return rows.prefetch_related("events").order_by("due_at", "pk")
