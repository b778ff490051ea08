"""Whether this server works: `/healthz` for "the process answers", `/readyz` for "it can do its work".

A load balancer takes a process out of service at 503: where the database does not answer or lacks a migration, or the
disk is full. Without Redis or the clock polls are served all the same, so these make `/readyz` say "degraded", with
200; `/readyz?strict` says 503 for them too, for those who watch.
"""

import logging
import shutil
from functools import cache

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis import Redis, RedisError

from otaserver import clock
from otaserver.events.queries.standing import beat_age

logger = logging.getLogger(__name__)

REDIS_SECONDS = 0.5
# The clock is seen to work every ten seconds.
BEAT_SECONDS = 60.0
OK = "ok"
_NEEDED = ("database", "migrations", "disk")


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    found = {"database": _database(), "migrations": "unknown", "disk": _disk(), "redis": _redis(), "beat": "unknown"}
    if found["database"] == OK:
        found |= {"migrations": _migrations(), "beat": _beat()}
    is_ready = all(found[name] == OK for name in _NEEDED)
    is_whole = all(state == OK for state in found.values())
    status = "ready" if is_whole else "degraded" if is_ready else "not ready"
    is_good = is_whole if "strict" in request.GET else is_ready
    headers = {"Cache-Control": "no-store"}
    return JsonResponse({"status": status, **found}, status=200 if is_good else 503, headers=headers)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        logger.exception("readyz.database")
        return "unreachable"
    return OK


def _migrations() -> str:
    # What has been applied stays so while this code runs.
    try:
        return OK if _applied() else "missing"
    except (Error, LookupError):
        return "missing"


@cache
def _applied() -> bool:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise LookupError  # not kept: a migration may be under way
    return True


def _beat() -> str:
    try:
        age = beat_age(clock.now())
    except Error:
        return "unknown"
    return OK if age is not None and age < BEAT_SECONDS else "silent"


def _disk() -> str:
    folder = settings.VAR_DIR
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return "unreachable"
    return OK if free >= settings.MIN_FREE_BYTES else "full"


def _redis() -> str:
    # kombu writes `redis+socket:` for what redis-py calls `unix:`.
    url = settings.CELERY_BROKER_URL.replace("redis+socket:", "unix:", 1)
    try:
        with Redis.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS) as redis:
            return OK if redis.ping() else "unreachable"
    except RedisError:
        return "unreachable"
