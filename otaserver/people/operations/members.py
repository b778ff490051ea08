from datetime import datetime

from django.db import transaction
from django.db.models import F

from otaserver.audit import operations as audit
from otaserver.people.errors import BeyondOwnPermissionsError, LastAdministratorError
from otaserver.people.operations.open_invitations import end_invitations
from otaserver.people.rules import Grantor
from otaserver.tenants.models import Member, Tenant, User
from otaserver.tenants.states import PERMISSIONS, Role


@transaction.atomic
def change_role(member: Member, *, role: str, by: Grantor, at: datetime) -> Member:
    """Give a member another role; their sessions and personal tokens have it from their next request on.

    Open invitations of theirs end if they could not make them now.

    Raises:
        BeyondOwnPermissionsError: the role may what `by` may not.
        LastAdministratorError: nobody would administer the tenant.
    """
    refuse_role_beyond(by, role)
    lock(member.tenant)
    found = Member.objects.select_related("user", "tenant").get(pk=member.pk)
    if found.role == role:
        return found
    if found.role == Role.ADMINISTRATOR:
        _refuse_last_administrator(found)
    before, found.role = found.role, role
    found.save(update_fields=["role"])
    name, kept = found.user.get_username(), PERMISSIONS[role]
    end_invitations(found.tenant, name, permissions=kept, by=by.actor, at=at)
    audit.record("member.changed", str(found.user), tenant=found.tenant, by=by.actor, at=at, before=before, role=role)
    return found


@transaction.atomic
def remove_member(member: Member, *, by: str, at: datetime) -> None:
    """End a membership with its personal tokens and open invitations, and all console sessions of the person, at once.

    The person's account and name stay: their other tenants are theirs, and the records speak of them.

    Raises:
        LastAdministratorError: nobody would administer the tenant.
    """
    tenant = lock(member.tenant)
    found = Member.objects.select_related("user").filter(pk=member.pk).first()
    if found is None:
        return
    if found.role == Role.ADMINISTRATOR:
        _refuse_last_administrator(found)
    found.delete()
    end_sessions(found.user)
    end_invitations(tenant, found.user.get_username(), by=by, at=at)
    audit.record("member.removed", str(found.user), tenant=tenant, by=by, at=at, role=found.role)


def end_sessions(user: User) -> None:
    """Sign a person out everywhere: every session that began before is refused at its next request."""
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)


def refuse_role_beyond(by: Grantor, role: str) -> None:
    """Refuse to give a role that may what the giver may not.

    Raises:
        BeyondOwnPermissionsError: it does.
    """
    beyond = by.lacks(PERMISSIONS[role])
    if beyond:
        raise BeyondOwnPermissionsError(
            f"{by.actor} does not have the permission {', '.join(beyond)} and cannot give it.", permissions=beyond
        )


def lock(tenant: Tenant) -> Tenant:
    """Hold the tenant's row to the end of the transaction: of two administrators who remove each other, one stays."""
    return Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)


def _refuse_last_administrator(member: Member) -> None:
    others = Member.objects.filter(tenant=member.tenant_id, role=Role.ADMINISTRATOR, user__is_active=True)
    if not others.exclude(pk=member.pk).exists():
        raise LastAdministratorError(
            f"{member.user} is the last administrator of {member.tenant}; make another person one first.",
            username=str(member.user),
        )
