"""Around every task: the id of the request, or of the tick, that it comes from; how long it waited and took.

Celery offers no other place for this than its own signals; nothing of the domain hangs on them.
"""

import threading
import time
import uuid
from typing import Any

from celery.signals import before_task_publish, task_failure, task_postrun, task_prerun, worker_init
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from otaserver import metrics

_began = threading.local()


@worker_init.connect
def _make_folder(**_: Any) -> None:
    metrics.make_folder()


@before_task_publish.connect
def _send_context(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None:
        headers.setdefault("request_id", get_contextvars().get("request_id") or uuid.uuid4().hex)
        headers.setdefault("sent_at", time.time())


@task_prerun.connect
def _begin(task: Any = None, task_id: str = "", **_: Any) -> None:
    request = task.request
    clear_contextvars()
    # Newer Celery shows headers of its own as attributes, older ones in `headers`.
    headers = getattr(request, "headers", None) or {}
    given = getattr(request, "request_id", None) or headers.get("request_id") or task_id
    bind_contextvars(request_id=given, task=task.name)
    sent_at = getattr(request, "sent_at", None) or headers.get("sent_at")
    if isinstance(sent_at, float):
        metrics.task_lag_seconds.labels(task.name).observe(max(0.0, time.time() - sent_at))
    _began.at = time.perf_counter()


@task_postrun.connect
def _end(task: Any = None, **_: Any) -> None:
    began = getattr(_began, "at", None)
    if began is not None:
        metrics.task_seconds.labels(task.name).observe(time.perf_counter() - began)
        _began.at = None
    clear_contextvars()


@task_failure.connect
def _fail(sender: Any = None, **_: Any) -> None:
    metrics.task_failures.labels(sender.name).inc()
