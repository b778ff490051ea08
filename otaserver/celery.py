"""Celery is the clock: beat says when to look, the database says what is due."""

import os

from celery import Celery

# Before anything that reads the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")

from otaserver import task_context  # noqa: F401 - it listens

app = Celery("otaserver")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
