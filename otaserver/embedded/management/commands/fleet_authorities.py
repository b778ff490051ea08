"""`fleet_authorities FILE`: write the CAs of all vehicles' certificates where nginx reads them."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from otaserver import clock
from otaserver.embedded import front


class Command(BaseCommand):
    help = (
        "Write the CAs of all tenants' vehicles for nginx, which reloads if they changed (nginx.pid beside the file)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="nginx's ssl_client_certificate")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            is_new = front.write_authorities(file, at=clock.now())
        except OSError as error:
            raise CommandError(f"{file} cannot be brought up to date: {error}") from error
        self.stdout.write(f"{file} is {'new' if is_new else 'as it was'}.")
