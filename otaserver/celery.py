"""Celery is the clock: beat says when to look, the database says what is due."""

import os

from celery import Celery

# Before anything that reads the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")

# Checks are about addresses and the console, which a worker would import for them alone: half of its start.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

from otaserver import task_context  # noqa: F401 - it listens

app = Celery("otaserver")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
