"""The OTA server: campaigns that bring signed software into vehicles."""

from otaserver.celery import app as celery_app

__all__ = ["celery_app"]
