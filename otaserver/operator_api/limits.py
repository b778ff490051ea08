"""How many requests a token may send in a minute, counted in Redis for all processes together.

Redis is a hint, never a need: where it does not answer each process counts for itself, and asks it again after a while.
The windows are of the machine's own clock, since it is the machine that is protected.
"""

import hashlib
import logging
import math
import threading
import time
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from redis import Redis, RedisError

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
_REDIS_SECONDS = 0.1
# So long nobody asks a Redis that did not answer.
_REST_SECONDS = 10.0


@dataclass(frozen=True)
class Allowance:
    """What is left of a caller's requests, and when the count begins anew."""

    limit: int
    used: int
    reset_seconds: int

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.limit

    @property
    def headers(self) -> dict[str, str]:
        """The headers of draft-ietf-httpapi-ratelimit-headers."""
        remaining = max(self.limit - self.used, 0)
        return {
            "RateLimit-Policy": f'"token";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"token";r={remaining};t={self.reset_seconds}',
        }


class _Counters:
    """The counts of this process, for as long as Redis does not answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = 0
        self._counts: dict[str, int] = {}
        self._rests_until = 0.0

    def count(self, caller: str, window: int) -> int:
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, {}
            self._counts[caller] = self._counts.get(caller, 0) + 1
            return self._counts[caller]

    @property
    def is_alone(self) -> bool:
        return time.monotonic() < self._rests_until

    def rest(self) -> None:
        self._rests_until = time.monotonic() + _REST_SECONDS


_counters = _Counters()


def spend(credential: str) -> Allowance | None:
    """Count one request of whoever shows this credential; None: nothing is limited here."""
    limit: int = settings.API_REQUESTS_PER_MINUTE
    if not limit:
        return None
    now = time.time()
    window = int(now // WINDOW_SECONDS)
    caller = hashlib.sha256(credential.encode()).hexdigest()[:32]
    used = _shared_count(caller, window)
    if used is None:
        used = _counters.count(caller, window)
    return Allowance(limit, used, math.ceil((window + 1) * WINDOW_SECONDS - now))


def _shared_count(caller: str, window: int) -> int | None:
    if _counters.is_alone:
        return None
    name = f"ota:requests:{window}:{caller}"
    try:
        with _redis(settings.CELERY_BROKER_URL).pipeline(transaction=False) as pipeline:
            pipeline.incr(name)
            pipeline.expire(name, 2 * WINDOW_SECONDS)
            return int(pipeline.execute()[0])
    except (RedisError, OSError):
        _counters.rest()
        logger.warning("requests are counted by each process alone: Redis does not answer")
        return None


@lru_cache(maxsize=1)
def _redis(url: str) -> "Redis":
    # kombu writes `redis+socket:` for what redis-py calls `unix:`.
    return Redis.from_url(
        url.replace("redis+socket:", "unix:", 1), socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
    )
