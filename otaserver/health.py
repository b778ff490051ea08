"""Whether this server works: `/healthz` for "the process answers", `/readyz` for "it can do its work"."""

import logging

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis import Redis, RedisError

logger = logging.getLogger(__name__)

REDIS_SECONDS = 0.5


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    is_ready = _database_answers()
    # Redis is for information: without it polls are served, and ticks come again when it is back.
    found = {
        "status": "ready" if is_ready else "not ready",
        "database": "ok" if is_ready else "unreachable",
        "redis": "ok" if _redis_answers() else "unreachable",
    }
    return JsonResponse(found, status=200 if is_ready else 503, headers={"Cache-Control": "no-store"})


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        logger.exception("readyz.database")
        return False
    return True


def _redis_answers() -> bool:
    # kombu writes `redis+socket:` for what redis-py calls `unix:`.
    url = settings.CELERY_BROKER_URL.replace("redis+socket:", "unix:", 1)
    try:
        with Redis.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS) as redis:
            return bool(redis.ping())
    except RedisError:
        return False
