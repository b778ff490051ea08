from datetime import datetime, timedelta

from otaserver.events.models import Event

CHUNK = 1000


def forget(*, at: datetime, days: int) -> int:
    """Delete events older than so many days, with their deliveries and letters; return how many there were.

    Those of which a delivery is under way stay: no try outlives three days.
    """
    old = Event.objects.filter(at__lt=at - timedelta(days=days)).order_by("pk").values_list("pk", flat=True)
    forgotten = 0
    while chunk := list(old[:CHUNK]):
        Event.objects.filter(pk__in=chunk).delete()
        forgotten += len(chunk)
    return forgotten
