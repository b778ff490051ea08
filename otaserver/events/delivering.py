"""Delivers to endpoints in threads of their own: however slow one is, it takes no worker's time and no other's turn."""

import logging
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from otaserver import clock, metrics
from otaserver.events import operations, posting
from otaserver.events.models import Endpoint

logger = logging.getLogger(__name__)
# Endpoints that are delivered to at a time, in one process.
THREADS = 16
# Deliveries in one turn of an endpoint.
IN_ONE_TURN = 100
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks")


def start(endpoint_id: int) -> None:
    """Let a thread deliver what is due to an endpoint. One that is killed leaves a lease, which ends by itself."""
    _pool.submit(_run, endpoint_id)


def deliver(endpoint_id: int) -> int:
    """Deliver what is due to an endpoint, one after another, until one fails; return how many tries that took."""
    endpoint = operations.lease(endpoint_id, at=clock.now())
    if endpoint is None:
        return 0
    tries = 0
    while tries < IN_ONE_TURN and operations.keep(endpoint, at=clock.now()) and _next(endpoint):
        tries += 1
    operations.release(endpoint)
    return tries


def _next(endpoint: Endpoint) -> bool:
    """Make the next request; return whether another may follow."""
    parcel = operations.next_parcel(endpoint, at=clock.now())
    if parcel is None:
        return False
    if not connection.in_atomic_block:
        connection.close()  # nothing is held while an endpoint takes its time
    answer = posting.post(parcel)
    metrics.deliveries.labels("delivered" if answer.is_good else "failed").inc()
    operations.record_answer(endpoint, parcel.delivery_id, answer, at=clock.now())
    return answer.is_good or not answer.is_endpoint_down


def _run(endpoint_id: int) -> None:
    try:
        deliver(endpoint_id)
    except Exception:
        logger.exception("webhooks not delivered: endpoint=%s", endpoint_id)
    finally:
        connection.close()
