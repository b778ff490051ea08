from dataclasses import dataclass

from otaserver.audit import rules
from otaserver.audit.models import Chain, Entry
from otaserver.tenants.models import Tenant


@dataclass(frozen=True)
class Verification:
    """What reading a chain anew has shown."""

    length: int
    head_hash: str
    first_break: int | None
    erased: int

    @property
    def is_whole(self) -> bool:
        return self.first_break is None


def verification(tenant: Tenant) -> Verification:
    """Return whether the tenant's chain holds, and where it stands now."""
    chain = Chain.objects.filter(tenant=tenant).first() or Chain(head_hash=rules.GENESIS)
    erased = Entry.objects.filter(tenant=tenant, salt="").count()
    return Verification(chain.length, chain.head_hash, first_break(tenant), erased)


def first_break(tenant: Tenant) -> int | None:
    """Return the number of the first entry of the tenant's chain that does not hold, or None if all do."""
    entries = Entry.objects.filter(tenant=tenant).order_by("number")
    broken = rules.first_break(
        rules.ChainedEntry(
            *(e.number, e.at, e.actor, e.action, e.subject, e.details),
            *(e.previous_hash, e.hash, e.salt, e.content_sha256),
        )
        for e in entries.iterator()
    )
    if broken is not None:
        return broken
    chain = Chain.objects.filter(tenant=tenant).first()
    last = entries.last()
    if chain is None:
        return 1 if last is not None else None
    found = (last.number, last.hash) if last is not None else (0, rules.GENESIS)
    return None if found == (chain.length, chain.head_hash) else found[0] + 1
