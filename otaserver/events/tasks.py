"""Ticks: what has happened becomes events, and events reach those who asked. Each can be run twice."""

import logging

from celery import shared_task
from django.conf import settings

from otaserver import clock, metrics
from otaserver.events import delivering, operations, posts
from otaserver.events.models import Heartbeat
from otaserver.events.queries import mails
from otaserver.statemachine import StaleStateError
from otaserver.tenants.models import Tenant

logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def publish_events() -> None:
    """Make the audit record's new entries into events, and let what is due be delivered."""
    for tenant in Tenant.objects.filter(pk__in=operations.tenants_with_news()):
        try:
            while operations.publish(tenant, at=clock.now()):
                pass
        except StaleStateError:
            continue  # another worker is at it
        except Exception:
            logger.exception("events not published: tenant=%s", tenant)
    for endpoint in operations.endpoints_due(at=clock.now()):
        delivering.start(endpoint)


@shared_task(ignore_result=True)
def tell_outcomes() -> None:
    """Tell the ends of assignments to those who asked for them."""
    for tenant in Tenant.objects.filter(pk__in=operations.tenants_that_ask()):
        try:
            while operations.tell(tenant, at=clock.now()):
                pass
        except StaleStateError:
            continue


@shared_task(ignore_result=True)
def send_letters() -> None:
    """Hand the letters that are due to the mail server; one that is not taken is tried again later."""
    for mail in mails.due(clock.now())[: posts.IN_ONE_TURN]:
        if not mails.has_reader(mail):
            # It may have waited for hours, and its reader may have left meanwhile.
            operations.record_unwanted(mail)
            continue
        problem = posts.send(mail)
        if problem is None:
            metrics.letters.labels("sent").inc()
            operations.record_sent(mail, at=clock.now())
        else:
            metrics.letters.labels("failed").inc()
            logger.warning("letter not sent: mail=%s problem=%s", mail.pk, problem)
            operations.record_not_sent(mail, problem, at=clock.now())


@shared_task(ignore_result=True)
def warn_of_expiry() -> None:
    """Warn of CAs, vehicles' credentials and tokens that end soon."""
    for tenant in Tenant.objects.all():
        try:
            operations.warn_of_expiry(tenant, at=clock.now())
        except Exception:
            logger.exception("expiry not watched: tenant=%s", tenant)


@shared_task(ignore_result=True)
def beat() -> None:
    """Note that the clock, Redis and a worker work."""
    Heartbeat.objects.update_or_create(name="clock", defaults={"at": clock.now()})


@shared_task(ignore_result=True)
def forget_events() -> None:
    operations.forget(at=clock.now(), days=settings.EVENT_DAYS)
