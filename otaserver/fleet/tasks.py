from celery import shared_task

from otaserver import clock
from otaserver.fleet import operations


@shared_task(ignore_result=True)
def expire_claims() -> None:
    """Tick, from beat. Delete claim codes and wrong tries that no longer count; repeating finds nothing."""
    operations.expire_claims(at=clock.now())
