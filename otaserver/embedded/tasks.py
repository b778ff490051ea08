from pathlib import Path

from celery import shared_task
from django.conf import settings

from otaserver import clock
from otaserver.embedded import front


@shared_task(ignore_result=True)
def write_authorities() -> None:
    """Tick, from beat. Let the nginx of this host know the CAs there are now; does nothing while they are the same."""
    front.write_authorities(Path(settings.AUTHORITIES_FILE), at=clock.now())
