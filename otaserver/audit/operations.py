from datetime import UTC, datetime
from typing import Any

from django.db import models, transaction

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
    digest = rules.entry_hash(
        number=number, at=at_utc, actor=by, action=action, subject=label, details=details, previous_hash=chain.head_hash
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
    )
    # The UPDATE holds the head until commit on every database; the unique number is the second guard.
    Chain.objects.filter(pk=chain.pk).update(length=number, head_hash=digest)
    return entry


def _locked_chain(tenant: Tenant) -> Chain:
    Chain.objects.get_or_create(tenant=tenant, defaults={"head_hash": rules.GENESIS})
    return Chain.objects.select_for_update().get(tenant=tenant)
