"""Ticks. The database says what is due; each can be run twice, or be killed at any point."""

import logging

from celery import shared_task

from firmware_store import operations
from firmware_store.trust import operations as trust
from otaserver import clock
from otaserver.tenants.models import Tenant

logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def refresh_metadata() -> None:
    """Sign the online metadata of every Image repository anew that nears its end."""
    at = clock.now()
    for tenant in Tenant.objects.all():
        try:
            if trust.refresh_online(tenant, at=at):
                logger.info("online metadata signed anew: tenant=%s", tenant)
        except Exception:
            logger.exception("online metadata not signed: tenant=%s", tenant)


@shared_task(ignore_result=True)
def watch_expiry() -> None:
    """Warn of signed metadata that nears its end, and end uploads that nobody finished."""
    at = clock.now()
    for warning in trust.warn_of_expiry(at=at):
        row = warning.metadata
        logger.warning(
            "metadata ends within %s days: tenant=%s repository=%s role=%s expires=%s",
            warning.days,
            row.tenant,
            row.repository,
            row.role,
            row.expires_at.isoformat(),
        )
    lapsed = operations.lapse_uploads(at=at)
    if lapsed:
        logger.info("unfinished uploads ended: %s", lapsed)


@shared_task(ignore_result=True)
def verify_direct_uploads() -> None:
    """Tick, from beat. Packages that came straight into the bucket, one task each."""
    for pk in operations.due_direct_uploads(at=clock.now()):
        verify_direct_upload.apply_async(kwargs={"upload_id": pk}, expires=60)


@shared_task(ignore_result=True, acks_late=True)
def verify_direct_upload(*, upload_id: int) -> None:
    # What fails here is the bucket: the lease lapses, and the next tick tries again.
    operations.verify_direct_upload(upload_id, now=clock.now)
