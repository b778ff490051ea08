"""`/metrics` for Prometheus: what all processes of this host have counted, and what the database says now.

Closed to the public: for who shows OTA_METRICS_TOKEN, and for this host itself where no proxy speaks for another.
"""

import hmac
import ipaddress
import threading
import time
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from otaserver import clock
from otaserver.bearer import bearer_token
from otaserver.events.queries import standing
from otaserver.operator_api.problems import problem_response

# The database is asked once in so many seconds, however many ask this process.
FRESH_SECONDS = 15.0
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


def metrics(request: HttpRequest) -> HttpResponse:
    if not _may_read(request):
        return problem_response(403, "metrics.closed", "Metrics are for this host, or with their token.")
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Standing())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _may_read(request: HttpRequest) -> bool:
    token = bearer_token(request.headers.get("Authorization", ""))
    if settings.METRICS_TOKEN and token is not None:
        return hmac.compare_digest(token.encode(), settings.METRICS_TOKEN.encode())
    address = request.META.get("REMOTE_ADDR", "")
    if any(name in request.META for name in _FORWARDED) or address in settings.TRUSTED_PROXIES:
        return False
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class _Standing:
    """Gauges from the database."""

    _lock = threading.Lock()
    _read: "tuple[float, list[Metric]] | None" = None

    def collect(self) -> Iterator[Metric]:
        cls = type(self)
        with cls._lock:
            if cls._read is None or time.monotonic() - cls._read[0] > FRESH_SECONDS:
                cls._read = (time.monotonic(), list(_gauges(clock.now())))
            yield from cls._read[1]

    @classmethod
    def forget(cls) -> None:
        """Ask the database at the next look."""
        cls._read = None


def _gauges(at: datetime) -> Iterator[Metric]:
    found = standing.standing(at)
    yield _by("ota_assignments", "Assignments of campaigns under way, by state.", ["state"], found.assignments)
    yield _by("ota_campaigns", "Campaigns, by state.", ["state"], found.campaigns)
    yield _one("ota_orders_open", "Orders that stand at vehicles.", found.open_orders)
    yield _one("ota_webhook_deliveries_pending", "Deliveries that wait.", found.pending_deliveries)
    yield _one("ota_letters_pending", "Letters that wait.", found.pending_letters)
    yield _one("ota_untold_entries", "Entries of the audit record that are no events yet.", found.untold)
    yield _one("ota_tick_age_seconds", "Since the longest neglected running campaign's last tick.", found.tick_age)
    yield _one("ota_beat_age_seconds", "Since the clock and a worker were last seen to work.", found.beat_age)
    expiry = GaugeMetricFamily(
        "ota_metadata_expiry_days", "Until signed metadata ends.", labels=["tenant", "repository", "role"]
    )
    for one in found.expiries:
        expiry.add_metric([one.tenant, one.repository, one.role], one.days)
    yield expiry


def _one(name: str, text: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric([], value)
    return family


def _by(name: str, text: str, labels: list[str], values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for label, value in sorted(values.items()):
        family.add_metric([label], value)
    return family
