from collections.abc import Iterable, Mapping

from otaserver.people import rules
from otaserver.people.models import SignOut
from otaserver.tenants.models import ServiceToken, Tenant, User


def persons_behind(tenant: Tenant, actors: Iterable[str]) -> Mapping[str, str]:
    """Return which person answers for each actor of a tenant's records (`rules.person_of`), in at most two queries.

    A member is the same person through the console, a personal token, and a service token that they made.
    """
    wanted = set(actors)
    if not any(actor.startswith("token:") for actor in wanted):
        return {actor: actor for actor in wanted}
    tokens = ServiceToken.objects.filter(tenant=tenant).values_list("name", "created_by")
    makers = {f"token:{name}": created_by for name, created_by in tokens}
    users = frozenset(User.objects.filter(username__in=set(makers.values())).values_list("username", flat=True))
    return {actor: rules.person_of(actor, makers=makers, users=users) for actor in wanted}


def is_signed_out(issuer: str, session_id: str) -> bool:
    """Return whether the issuer has ended the session that it calls so."""
    return SignOut.objects.filter(issuer=issuer, session_id=session_id).exists()
