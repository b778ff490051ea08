from celery import shared_task
from django.conf import settings
from django.db.models import Q

from otaserver import clock
from otaserver.campaigns import operations
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import CampaignState


@shared_task(ignore_result=True)
def advance_campaigns() -> None:
    """Tick, from beat. The database says what is due; Celery only says when."""
    under_way = Q(state__in=[CampaignState.RUNNING, CampaignState.PAUSED])
    scheduled = Q(state=CampaignState.SCHEDULED, starts_at__lte=clock.now())
    # A tick that found no worker in time is worth nothing: the next one sees the same.
    expires = max(10 * settings.TICK_SECONDS, 10)
    for pk in Campaign.objects.filter(under_way | scheduled).order_by("pk").values_list("pk", flat=True):
        advance_campaign.apply_async(kwargs={"campaign_id": pk}, expires=expires)
    lapse.apply_async(expires=expires)


@shared_task(ignore_result=True, acks_late=True)
def advance_campaign(*, campaign_id: int) -> None:
    while operations.advance_campaign(campaign_id, at=clock.now()):
        pass


@shared_task(ignore_result=True, acks_late=True)
def lapse() -> None:
    """Close what is past its due time in campaigns that no longer run: halted, cancelled, completed ones."""
    at = clock.now()
    operations.lapse_due(at)
    operations.open_failed_cases(at)


@shared_task(ignore_result=True, acks_late=True)
def reconcile() -> None:
    """Bring together what may disagree: assignments, attempts, and what vehicles are directed to."""
    at = clock.now()
    operations.sweep(at)
    operations.open_exhausted_cases(at)
