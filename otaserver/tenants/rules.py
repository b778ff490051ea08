import re
from collections.abc import Iterable

from otaserver.tenants.states import PERMISSIONS, Permission

# First path segments that are not a tenant: hawkBit's addresses begin with the tenant's name (DESIGN.md, "Addresses").
RESERVED_NAMES = frozenset(
    {
        "aktualizr",
        "api",
        "console",
        "downloads",
        "healthz",
        "metrics",
        "readyz",
        "static",
        "uptane",
        "webhooks",
    }
)
MAX_APPROVALS = 10
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


def tenant_name_problem(name: str) -> str | None:
    """Return why `name` cannot name a tenant, as a sentence, or None if it can."""
    if not _NAME.match(name):
        return f"A tenant's name is 1 to 63 of a-z, 0-9 and inner hyphens; {name!r} is not."
    if name in RESERVED_NAMES:
        return f"{name!r} is the beginning of other addresses of this server and cannot name a tenant."
    return None


def approvals_problem(required: int) -> str | None:
    """Return why a tenant cannot require so many approvals, as a sentence, or None if it can."""
    if not 0 <= required <= MAX_APPROVALS:
        return f"A tenant requires 0 to {MAX_APPROVALS} approvals; {required} is not."
    return None


def is_lowered(*, before: tuple[int, bool], after: tuple[int, bool]) -> bool:
    """Return whether fewer people have to agree than before: (approvals required, whether roll-backs need them)."""
    return after[0] < before[0] or after[1] < before[1]


def permissions_of(role: str, scopes: Iterable[str] | None) -> frozenset[Permission]:
    """Return what a token may: all that its role may (None), or those of it that its scopes name."""
    held = PERMISSIONS.get(role, frozenset())
    return held if scopes is None else held & frozenset(scopes)


def may(role: str, permission: Permission) -> bool:
    """Return whether a member or token with this role has the permission."""
    return permission in PERMISSIONS.get(role, frozenset())
