"""Celery is the clock: beat says when to look, the database says what is due."""

import os
from typing import Any

import django
from celery import Celery
from celery.signals import beat_init, worker_init
from django.utils.module_loading import import_string

from otaserver.errors import OtaError

# Before anything that reads the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")

# Checks are about addresses and the console, which a worker would import for them alone: half of its start.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

from otaserver import task_context  # noqa: F401 - it listens

app = Celery("otaserver")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def _require_restored(**_: Any) -> None:
    django.setup()
    try:
        import_string("firmware_store.trust.outside.require_restored")()
    except OtaError as error:
        # Of other exceptions of those who listen Celery makes a line in its log, and goes on.
        raise SystemExit(str(error)) from error
