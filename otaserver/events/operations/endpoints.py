"""Endpoints of webhooks: made, changed, paused, given a new secret, removed."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address

from django.conf import settings
from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.events.errors import EndpointRefusedError, TooManyEndpointsError
from otaserver.events.models import Delivery, Endpoint
from otaserver.events.rules import addresses, signatures
from otaserver.events.rules.types import patterns_problem
from otaserver.events.states import DeliveryState, EndpointState
from otaserver.tenants.models import Tenant

MAX_ENDPOINTS = 20
# For how long the old secret signs beside the new one.
OVERLAP = timedelta(hours=24)


@transaction.atomic
def create_endpoint(
    tenant: Tenant, *, url: str, types: Sequence[str], description: str, by: str, at: datetime
) -> tuple[Endpoint, str]:
    """Make an endpoint and return it with its secret, which cannot be shown again.

    Raises:
        EndpointRefusedError: the sentence says what of it cannot be.
        TooManyEndpointsError: the tenant has as many as it may.
    """
    _refuse_unsound(url, types)
    # Locked, so that two at once cannot both be the last.
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    present = Endpoint.objects.filter(tenant=tenant).exclude(state=EndpointState.REMOVED).count()
    if present >= MAX_ENDPOINTS:
        raise TooManyEndpointsError(f"Tenant {tenant} has {present} webhooks, as many as it may.", limit=MAX_ENDPOINTS)
    salt = secrets.token_hex(32)
    endpoint = Endpoint.objects.create(
        tenant=tenant,
        url=url,
        types=sorted(set(types)),
        description=description,
        salt=salt,
        created_by=by,
        created_at=at,
    )
    audit.record("webhook.created", endpoint, tenant=tenant, by=by, at=at, types=endpoint.types)
    return endpoint, signatures.shown(_key(salt))


@transaction.atomic
def change_endpoint(
    endpoint: Endpoint,
    *,
    by: str,
    at: datetime,
    url: str | None = None,
    types: Sequence[str] | None = None,
    description: str | None = None,
) -> None:
    """Change what is given; what waits to be delivered goes to the new address.

    Raises:
        EndpointRefusedError: the sentence says what of it cannot be.
    """
    wanted = endpoint.types if types is None else sorted(set(types))
    _refuse_unsound(endpoint.url if url is None else url, wanted)
    given = {"url": url, "types": None if types is None else wanted, "description": description}
    changes = {name: value for name, value in given.items() if value is not None}
    if changes:
        Endpoint.objects.filter(pk=endpoint.pk).update(**changes)
        endpoint.refresh_from_db()
        audit.record("webhook.changed", endpoint, tenant=endpoint.tenant, by=by, at=at, **changes)


@transaction.atomic
def pause_endpoint(endpoint: Endpoint, *, reason: str, by: str, at: datetime) -> None:
    """Deliver nothing more to an endpoint; what waits waits on, and what happens meanwhile can be replayed later.

    Raises:
        InvalidTransitionError, StaleStateError: it is not active.
    """
    endpoint.move_to(EndpointState.PAUSED, reason=reason)
    audit.record("webhook.paused", endpoint, tenant=endpoint.tenant, by=by, at=at, reason=reason)


@transaction.atomic
def resume_endpoint(endpoint: Endpoint, *, by: str, at: datetime) -> None:
    """Deliver to a paused endpoint again, what waits first.

    Raises:
        InvalidTransitionError, StaleStateError: it is not paused.
    """
    endpoint.move_to(EndpointState.ACTIVE, reason="", failing_since=None, failures=0, rests_until=None)
    audit.record("webhook.resumed", endpoint, tenant=endpoint.tenant, by=by, at=at)


@transaction.atomic
def remove_endpoint(endpoint: Endpoint, *, by: str, at: datetime) -> None:
    """End an endpoint and give up what waits for it; its log stays as long as any.

    Raises:
        InvalidTransitionError, StaleStateError: it was removed already.
    """
    endpoint.move_to(EndpointState.REMOVED)
    waiting = Delivery.objects.filter(endpoint=endpoint, state=DeliveryState.PENDING)
    waiting.update(state=DeliveryState.FAILED, due_at=None, settled_at=at)
    audit.record("webhook.removed", endpoint, tenant=endpoint.tenant, by=by, at=at)


@transaction.atomic
def rotate_secret(endpoint: Endpoint, *, by: str, at: datetime) -> str:
    """Give an endpoint a new secret and return it; for a day the old one signs as well."""
    salt = secrets.token_hex(32)
    rows = Endpoint.objects.filter(pk=endpoint.pk, salt=endpoint.salt)
    rows.update(salt=salt, previous_salt=endpoint.salt, previous_until=at + OVERLAP)
    endpoint.refresh_from_db()
    audit.record("webhook.secret_rotated", endpoint, tenant=endpoint.tenant, by=by, at=at)
    return signatures.shown(_key(endpoint.salt))


def keys_of(endpoint: Endpoint, *, at: datetime) -> list[bytes]:
    """Return the keys that sign now: the endpoint's own, and for a day the one before it."""
    is_in_overlap = endpoint.previous_until is not None and endpoint.previous_until > at
    return [_key(salt) for salt in (endpoint.salt, *([endpoint.previous_salt] if is_in_overlap else []))]


def _key(salt: str) -> bytes:
    return signatures.derive_key(settings.SECRET_KEY, salt)


def _refuse_unsound(url: str, patterns: Sequence[str]) -> None:
    problem = addresses.url_problem(url, requires_https=settings.WEBHOOKS_NEED_HTTPS) or patterns_problem(patterns)
    problem = problem or _address_problem(url)
    if problem is not None:
        raise EndpointRefusedError(problem, url=url)


def _address_problem(url: str) -> str | None:
    """Return why a URL with an address in place of a name cannot be; names are looked up at each delivery."""
    host = addresses.host_of(url)
    try:
        ip_address(host)
    except ValueError:
        return None
    if addresses.is_allowed(host, allowed=settings.WEBHOOK_NETWORKS):
        return None
    return f"{host} is no public address."
