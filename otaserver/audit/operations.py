import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from otaserver.audit import rules
from otaserver.audit.models import Chain, Entry
from otaserver.tenants.models import Tenant


@transaction.atomic
def record(action: str, subject: models.Model | str, *, tenant: Tenant, by: str, at: datetime, **details: Any) -> Entry:
    """Append an entry to the tenant's chain, in the caller's transaction; call it last: it locks the chain's head.

    `details` must be JSON values.
    """
    chain = _locked_chain(tenant)
    label = subject if isinstance(subject, str) else f"{subject._meta.model_name}:{subject.pk} {subject}"
    label = label[:300]
    number = chain.length + 1
    at_utc = at.astimezone(UTC)
    salt = secrets.token_hex(16)
    content = rules.content_digest(salt=salt, subject=label, details=details)
    digest = rules.entry_hash(
        number=number, at=at_utc, actor=by, action=action, content_sha256=content, previous_hash=chain.head_hash
    )
    entry = Entry.objects.create(
        tenant=tenant,
        number=number,
        at=at_utc,
        actor=by,
        action=action,
        subject=label,
        details=details,
        previous_hash=chain.head_hash,
        hash=digest,
        salt=salt,
        content_sha256=content,
    )
    # The UPDATE holds the head until commit on every database; the unique number is the second guard.
    Chain.objects.filter(pk=chain.pk).update(length=number, head_hash=digest)
    return entry


@transaction.atomic
def erase(
    tenant: Tenant,
    name: str,
    erased: Callable[[str, dict[str, Any]], tuple[str, dict[str, Any]]],
    *,
    reason: str,
    by: str,
    at: datetime,
) -> int:
    """Let entries in which `name` stands say what `erased` makes of subject and details; return how many changed.

    That is recorded. Their numbers, times, actors, actions and hashes stay, and the chain still holds; what stood there
    is gone. An entry that `erased` leaves as it is keeps its proof.
    """
    numbers = []
    for entry in _mentioning(tenant, name):
        subject, details = erased(entry.subject, entry.details)
        if (subject, details) != (entry.subject, entry.details):
            Entry.objects.filter(pk=entry.pk).update(subject=subject, details=details, salt="")
            numbers.append(entry.number)
    if numbers:
        record(rules.ERASURE, tenant, tenant=tenant, by=by, at=at, entries=numbers, reason=reason)
    return len(numbers)


def _mentioning(tenant: Tenant, name: str) -> list[Entry]:
    rows = Entry.objects.filter(tenant=tenant).annotate(said=Cast("details", TextField()))
    # A record of what was erased lists numbers, which must stay.
    rows = rows.exclude(action=rules.ERASURE)
    named = Q(subject__contains=name) | Q(said__contains=json.dumps(name)[1:-1])
    return list(rows.filter(named).order_by("number"))


def _locked_chain(tenant: Tenant) -> Chain:
    Chain.objects.get_or_create(tenant=tenant, defaults={"head_hash": rules.GENESIS})
    return Chain.objects.select_for_update().get(tenant=tenant)
