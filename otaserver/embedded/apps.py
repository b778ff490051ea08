import gc

from django.apps import AppConfig

# Shared tasks belong to this application wherever Django runs: in the web server, in commands, in tests.
from otaserver import celery  # noqa: F401


class EmbeddedConfig(AppConfig):
    name = "otaserver.embedded"

    def ready(self) -> None:
        # Off since the settings were read. What was made until now is never looked through again.
        gc.freeze()
        gc.enable()
