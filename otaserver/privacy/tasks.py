"""Ticks. The database says what is due; each can be run twice, or be killed at any point."""

import logging

from celery import shared_task
from django.contrib.sessions.models import Session

from firmware_store import operations as store
from otaserver import clock
from otaserver.fleet import operations as fleet
from otaserver.privacy import operations
from otaserver.tenants import kept_answers
from otaserver.tenants.change_models import forget_changes
from otaserver.tenants.models import Tenant

logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def prune_records() -> None:
    """Tick, from beat. Delete what no tenant keeps any longer."""
    at = clock.now()
    kept_answers.prune(at=at)
    # Django leaves them for a command that nobody runs.
    Session.objects.filter(expire_date__lt=at).delete()
    forget_changes()
    for tenant in Tenant.objects.all():
        pruned = {kind: count for kind, count in operations.prune_records(tenant, at=at).items() if count}
        if pruned:
            logger.info("records pruned: tenant=%s %s", tenant, pruned)


@shared_task(ignore_result=True)
def remove_orphans() -> None:
    """Tick, from beat. Delete files that nothing refers to: of packages, uploads, and vehicles that move in."""
    now = clock.now()
    removed = store.remove_orphans(now=now) + fleet.remove_left_files(now=now)
    if removed:
        logger.info("files that nothing refers to removed: %s", removed)
