from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Subquery

from otaserver.audit import rules
from otaserver.audit.models import Chain, Entry
from otaserver.tenants.models import Tenant

_FIELDS = (
    *("number", "at", "actor", "action", "subject", "details"),
    *("previous_hash", "hash", "salt", "content_sha256"),
)


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
    """Return the number of the first entry of the tenant's chain that does not hold, or None if all do.

    Entries may be written meanwhile: each is read together with the head of that same moment.
    """
    heads = Chain.objects.filter(tenant=tenant)
    head = {name: Subquery(heads.values(name)) for name in ("length", "head_hash")}
    rows = Entry.objects.filter(tenant=tenant).order_by("number").annotate(**head)
    last: tuple[Any, ...] = ()

    def read() -> Iterator[rules.ChainedEntry]:
        nonlocal last
        for last in rows.values_list(*_FIELDS, *head).iterator():
            yield rules.ChainedEntry(*last[: len(_FIELDS)])

    broken = rules.first_break(read())
    if broken is not None:
        return broken
    if not last:
        return 1 if heads.filter(length__gt=0).exists() else None
    found = dict(zip([*_FIELDS, *head], last, strict=True))
    if found["length"] is None:
        return 1
    ends_there = (found["number"], found["hash"]) == (found["length"], found["head_hash"])
    return None if ends_there else found["number"] + 1
