"""Whose things a signed-in person sees: those of the tenants they are a member of; a superuser sees all."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from otaserver.tenants.models import Member, Tenant, User
from otaserver.tenants.rules import may
from otaserver.tenants.states import PERMISSIONS, Permission, Role

# In a form: of which tenant its page has shown things.
SHOWN_TENANT = "shown_tenant"


def tenants_visible_to(user: User | AnonymousUser, permission: Permission) -> QuerySet[Tenant]:
    """Return the tenants in which the person has the permission."""
    if not isinstance(user, User) or not user.is_active:
        return Tenant.objects.none()
    return tenants_in_session(user, _tenants_of(user, permission))


def may_somewhere(request: HttpRequest, permission: Permission) -> bool:
    """Return whether the person has the permission in a tenant that their session shows.

    A page asks this of every model and every entry of the menu; the database is asked once a request.
    """
    known: frozenset[Permission] | None = getattr(request, "permissions_somewhere", None)
    if known is None:
        known = _permissions_somewhere(request.user)
        request.permissions_somewhere = known  # type: ignore[attr-defined]
    return permission in known


def _permissions_somewhere(user: User | AnonymousUser) -> frozenset[Permission]:
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    tenants = tenants_in_session(user, Tenant.objects.all())
    if user.is_superuser:
        return frozenset(Permission) if tenants.exists() else frozenset()
    roles = Member.objects.filter(user=user, tenant__in=tenants).values_list("role", flat=True)
    return frozenset[Permission]().union(*(PERMISSIONS.get(role, frozenset()) for role in set(roles)))


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


def permissions_in(user: User | AnonymousUser, tenant: Tenant) -> frozenset[Permission]:
    """Return what the person may do in a tenant: the same table as for whoever calls the operator API.

    In a tenant that their session does not show, they may do nothing.
    """
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    if not tenants_in_session(user, Tenant.objects.filter(pk=tenant.pk)).exists():
        return frozenset()
    if user.is_superuser:
        return frozenset(Permission)
    member = Member.objects.filter(tenant=tenant, user=user).first()
    return PERMISSIONS.get(member.role, frozenset()) if member is not None else frozenset()


def asked_tenant(request: HttpRequest) -> Tenant | None:
    """Return the tenant that a page's address names or, of a form, the one that its page has shown; None: neither.

    Which tenant a session shows may have been chosen anew in another window since: what was meant for one tenant would
    be done in another.
    """
    name = request.GET.get("tenant") or request.POST.get(SHOWN_TENANT)
    if not name:
        return None
    found = tenants_visible_to(request.user, Permission.VIEW).filter(name=name).first()
    if found is None:
        raise Http404(f"There is no tenant {name}.")
    return found


def actor_of(user: User | AnonymousUser) -> str:
    """Return what the audit record calls a person."""
    return user.get_username()
