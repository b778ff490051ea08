from celery import shared_task
from django.conf import settings

from otaserver import clock
from otaserver.campaigns import operations
from otaserver.campaigns.models import Campaign


@shared_task(ignore_result=True)
def advance_campaigns() -> None:
    """Tick, from beat. The database says what is due; Celery only says when."""
    # A tick that found no worker in time is worth nothing: the next one sees the same.
    expires = max(10 * settings.TICK_SECONDS, 10)
    for pk in Campaign.objects.due(clock.now()).order_by("pk").values_list("pk", flat=True):
        advance_campaign.apply_async(kwargs={"campaign_id": pk}, expires=expires)


@shared_task(ignore_result=True, acks_late=True)
def advance_campaign(*, campaign_id: int) -> None:
    while operations.advance_campaign(campaign_id, at=clock.now()):
        pass


@shared_task(ignore_result=True, acks_late=True)
def lapse() -> None:
    """Close what is past its due time in campaigns that no longer run: halted, cancelled, completed ones. From beat."""
    at = clock.now()
    operations.lapse_due(at)
    operations.open_failed_cases(at)


@shared_task(ignore_result=True, acks_late=True)
def reconcile() -> None:
    """Bring together what may disagree: assignments, attempts, and what vehicles are directed to."""
    at = clock.now()
    operations.sweep(at)
    operations.open_exhausted_cases(at)
    operations.forget_fits(at)


@shared_task(ignore_result=True)
def keep_forecasts() -> None:
    """Tick, from beat. A forecast takes seconds for a large fleet: each is a task of its own."""
    for pk in operations.forecasts_due(clock.now()).values_list("pk", flat=True):
        keep_forecast.apply_async(kwargs={"campaign_id": pk}, expires=60)


@shared_task(ignore_result=True, acks_late=True)
def keep_forecast(*, campaign_id: int) -> None:
    operations.keep_forecast(campaign_id, at=clock.now())


@shared_task(ignore_result=True)
def count_fits() -> None:
    """Tick, from beat. Somebody waits for each of these on a page."""
    for pk in operations.fits_due(clock.now()).values_list("pk", flat=True):
        count_fit.apply_async(kwargs={"fit_id": pk}, expires=60)


@shared_task(ignore_result=True, acks_late=True)
def count_fit(*, fit_id: int) -> None:
    operations.count_fit(fit_id, at=clock.now())
