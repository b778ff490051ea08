import logging

from celery import shared_task

from otaserver import clock
from otaserver.fleet import operations
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.states import ImportState

logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def expire_claims() -> None:
    """Tick, from beat. Delete claim codes and wrong tries that no longer count; repeating finds nothing."""
    operations.expire_claims(at=clock.now())


@shared_task(ignore_result=True)
def forget_wishes() -> None:
    """Tick, from beat. Delete wishes to be let in that were not repeated; repeating finds nothing."""
    operations.forget_wishes(at=clock.now())


@shared_task(ignore_result=True)
def run_imports() -> None:
    """Tick, from beat. Files of vehicles that wait, and those whose run has died, one task each."""
    for pk in operations.due_imports(at=clock.now()):
        run_import.apply_async(kwargs={"import_id": pk}, expires=60)


@shared_task(ignore_result=True, acks_late=True)
def run_import(*, import_id: int) -> None:
    try:
        operations.run_import(import_id, now=clock.now)
    except Exception as error:
        logger.exception("fleet not taken in: import=%s", import_id)
        running = FleetImport.objects.filter(pk=import_id, state=ImportState.RUNNING).first()
        if running is not None:
            operations.end_import(running, f"The server failed: {type(error).__name__}.", at=clock.now())


@shared_task(ignore_result=True)
def expire_watches() -> None:
    """Tick, from beat. Delete what was kept of watched devices and is old; repeating finds nothing."""
    operations.expire_watches(at=clock.now())


@shared_task(ignore_result=True)
def count_groups() -> None:
    """Tick, from beat. Somebody looks at the list of these groups."""
    for pk in operations.sizes_due(clock.now()).values_list("pk", flat=True):
        count_group.apply_async(kwargs={"group_id": pk}, expires=60)


@shared_task(ignore_result=True, acks_late=True)
def count_group(*, group_id: int) -> None:
    operations.count_group(group_id, at=clock.now())
