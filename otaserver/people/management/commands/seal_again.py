from typing import Any

from django.core.management.base import BaseCommand

from otaserver.people import operations


class Command(BaseCommand):
    help = "Seal the secrets of all authenticators with OTA_SECRET_KEY, so that OTA_SECRET_KEY_FALLBACKS may go."

    def handle(self, **options: Any) -> None:
        self.stdout.write(f"Sealed anew: {operations.seal_again()}.")
