from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from otaserver.recovery import tuning


class Command(BaseCommand):
    help = "Tell PostgreSQL which tables are written all the time; belongs after each migrate, and changes no row."

    def handle(self, **options: Any) -> None:
        if connection.vendor != "postgresql":
            self.stdout.write(f"The database is {connection.vendor}: there is nothing to tell it.")
            return
        for line in tuning.tune():
            self.stdout.write(line)
