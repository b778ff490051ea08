"""An invitation that nobody has accepted yet reaches no further than who made it."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from otaserver.audit import operations as audit
from otaserver.people.models import Invitation, PersonalToken
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import PERMISSIONS, Permission


@transaction.atomic
def revoke_invitation(invitation: Invitation, *, by: str, at: datetime) -> None:
    """End an invitation that nobody has accepted; one that was, or was revoked, stays as it is."""
    if Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None).update(revoked_at=at):
        audit.record("member.invitation_revoked", invitation, tenant=invitation.tenant, by=by, at=at)


def end_invitations_of(tokens: "QuerySet[PersonalToken]", *, by: str, at: datetime) -> None:
    """End what was made with these personal tokens: whoever else had one may have made a way back in."""
    for token in tokens.select_related("member__tenant", "member__user"):
        made = Invitation.objects.filter(
            tenant=token.member.tenant, created_by=token.member.user.get_username(), made_with=token.name
        )
        for invitation in made.filter(accepted_at=None, revoked_at=None).select_related("tenant").order_by("pk"):
            revoke_invitation(invitation, by=by, at=at)


def end_invitations(
    tenant: Tenant, maker: str, *, by: str, at: datetime, permissions: Collection[Permission] = frozenset()
) -> None:
    """End what `maker` could not make with these permissions, in the caller's transaction; by default all."""
    made = Invitation.objects.filter(tenant=tenant, created_by=maker, accepted_at=None, revoked_at=None)
    for invitation in made.select_related("tenant").order_by("pk"):
        if Permission.ADMINISTER not in permissions or PERMISSIONS[invitation.role] - frozenset(permissions):
            revoke_invitation(invitation, by=by, at=at)
