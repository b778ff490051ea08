"""A request that is sent twice with one key is done once, and answered the same twice."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from otaserver.errors import ConflictError, RefusedError
from otaserver.tenants.answer_models import KeptAnswer
from otaserver.tenants.models import Tenant

KEPT_FOR = timedelta(hours=24)
# No request takes so long: what is still under way then was lost with its process.
LOST_AFTER = timedelta(minutes=30)
_BATCH = 1000


class RequestInFlightError(ConflictError):
    code = "idempotency.in_flight"


class RequestDiffersError(RefusedError):
    code = "idempotency.body_differs"


class SecretNotKeptError(ConflictError):
    """It was done; what it answered was a secret, and those are shown once and stored nowhere."""

    code = "idempotency.secret_not_kept"


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    headers: dict[str, Any] = field(default_factory=dict)


def begin(tenant: Tenant, caller: str, key: str, *, request_sha256: str, at: datetime) -> KeptAnswer:
    """Return the row of this key: a new one, without a status, for whoever is to do it now; or what was answered.

    Of two at once one gets the new row. Call it outside of the transaction that does what was asked for.

    Raises:
        RequestInFlightError: the first one is not answered yet.
    """
    KeptAnswer.objects.filter(tenant=tenant, caller=caller, key=key, began_at__lte=at - KEPT_FOR).delete()
    try:
        with transaction.atomic():
            return KeptAnswer.objects.create(
                tenant=tenant, caller=caller, key=key, request_sha256=request_sha256, began_at=at
            )
    except IntegrityError:
        found = KeptAnswer.objects.get(tenant=tenant, caller=caller, key=key)
    if found.status is not None:
        return found
    lost = KeptAnswer.objects.filter(pk=found.pk, status=None, began_at=found.began_at)
    if found.began_at > at - LOST_AFTER or not lost.update(began_at=at, request_sha256=request_sha256):
        raise RequestInFlightError(
            f"The first request with the key {key!r} is not answered yet.", key=key, retry_after_seconds=1
        )
    found.began_at, found.request_sha256 = at, request_sha256
    return found


def replayed(found: KeptAnswer, *, request_sha256: str) -> Answer:
    """Return what a request was answered that is sent again.

    Raises:
        RequestDiffersError: it is another request under the same key.
        SecretNotKeptError: the answer was a secret.
    """
    if found.request_sha256 != request_sha256:
        raise RequestDiffersError(
            f"The key {found.key!r} was used for another request; a new request needs a new key.", key=found.key
        )
    if found.was_secret:
        raise SecretNotKeptError(
            f"This was done, and answered with {found.status}; what it showed is a secret and was not kept.",
            status_then=found.status,
        )
    return Answer(found.status or 0, found.content_type, bytes(found.body), found.headers)


def keep(row: KeptAnswer, answer: Answer, *, request_sha256: str, is_secret: bool) -> None:
    """Note the answer of a request that is done; in the transaction that did it where there is one."""
    KeptAnswer.objects.filter(pk=row.pk).update(
        status=answer.status,
        content_type=answer.content_type,
        headers=answer.headers,
        body=b"" if is_secret else answer.body,
        was_secret=is_secret,
        request_sha256=request_sha256,
    )


def forget(row: KeptAnswer) -> None:
    """Free the key of a request that could not be served and changed nothing."""
    KeptAnswer.objects.filter(pk=row.pk, status=None).delete()


def prune(*, at: datetime) -> int:
    """Delete what is older than a day, some at a time; return how many. Repeating finds nothing."""
    count = 0
    while batch := list(KeptAnswer.objects.filter(began_at__lte=at - KEPT_FOR).values_list("pk", flat=True)[:_BATCH]):
        count += KeptAnswer.objects.filter(pk__in=batch).delete()[0]
    return count
