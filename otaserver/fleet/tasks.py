from celery import shared_task

from otaserver import clock
from otaserver.fleet import operations


@shared_task(ignore_result=True)
def expire_claims() -> None:
    """Tick, from beat. Delete claim codes and wrong tries that no longer count; repeating finds nothing."""
    operations.expire_claims(at=clock.now())


@shared_task(ignore_result=True)
def expire_watches() -> None:
    """Tick, from beat. Delete what was kept of watched devices and is old; repeating finds nothing."""
    operations.expire_watches(at=clock.now())
