from celery import shared_task

from otaserver import clock
from otaserver.people import operations


@shared_task(ignore_result=True)
def forget_sign_ins() -> None:
    """Tick, from beat: old tries to sign in, and old notices that somebody has signed out."""
    operations.forget_sign_ins(at=clock.now())
    operations.forget_sign_outs(at=clock.now())
