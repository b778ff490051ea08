"""Whose things a signed-in person sees: those of the tenants they are a member of; a superuser sees all."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest

from otaserver.tenants.models import Tenant, User
from otaserver.tenants.rules import may
from otaserver.tenants.states import Permission, Role


def tenants_visible_to(user: User | AnonymousUser, permission: Permission) -> QuerySet[Tenant]:
    """Return the tenants in which the person has the permission."""
    if not isinstance(user, User) or not user.is_active:
        return Tenant.objects.none()
    return tenants_in_session(user, _tenants_of(user, permission))


def tenants_in_session(user: User, tenants: QuerySet[Tenant]) -> QuerySet[Tenant]:
    """Return those that the person's session shows: the chosen one, and none that wants a second factor it has not."""
    if not user.has_second_factor:
        tenants = tenants.filter(second_factor_required=False)
    return tenants if user.chosen_tenant_id is None else tenants.filter(pk=user.chosen_tenant_id)


def _tenants_of(user: User, permission: Permission) -> QuerySet[Tenant]:
    if user.is_superuser:
        return Tenant.objects.all()
    roles = [role for role in Role.values if may(role, permission)]
    # A membership is one row per tenant and user, so this joins without doubling.
    return Tenant.objects.filter(members__user=user, members__role__in=roles)


def may_audit(request: HttpRequest) -> bool:
    """Return whether the person sees any records, for the console's menu."""
    return tenants_visible_to(request.user, Permission.AUDIT).exists()


def may_administer(request: HttpRequest) -> bool:
    """Return whether the person has members to look after, for the console's menu."""
    return tenants_visible_to(request.user, Permission.ADMINISTER).exists()
