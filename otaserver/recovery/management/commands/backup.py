from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.errors import OtaError
from otaserver.recovery import operations


class Command(BaseCommand):
    help = "Write the database, the online keys and, if wanted, the packages into a new folder; the server may run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--packages", action="store_true", help="copy the files of packages too")

    def handle(self, *, folder: Path, packages: bool, **options: Any) -> None:
        try:
            made = operations.back_up(folder.absolute(), with_packages=packages, at=clock.now())
        except OtaError as error:
            raise CommandError(error.message) from error
        self.stdout.write(
            f"{folder}: {made.database} with {len(made.tenants)} tenants; {made.packages_stored} of {made.packages} "
            "package files. It holds private keys: keep it as you keep them."
        )
