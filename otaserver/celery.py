"""Celery is the clock: beat says when to look, the database says what is due."""

import os

from celery import Celery

from otaserver import task_context  # noqa: F401 - it listens

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")

app = Celery("otaserver")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
