from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.embedded.errors import CannotServeError
from otaserver.errors import OtaError
from otaserver.recovery import operations
from otaserver.recovery.management import holding, reporting


class Command(BaseCommand):
    help = "Put a backup in the place of the database, and raise versions above all that vehicles have seen."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--above", type=int, help="the highest version given out, where nothing noted it")
        parser.add_argument("--yes", action="store_true", help="replace everything that is in the database now")

    def handle(self, *, folder: Path, above: int | None, yes: bool, **options: Any) -> None:
        try:
            described = operations.describe(folder)
            if not yes:
                raise CommandError(
                    f"This replaces the whole database by that of {described.at} ({', '.join(described.tenants)}). "
                    "Stop the server everywhere, then add --yes."
                )
            with holding.nothing_else_runs():
                recovered = operations.restore(folder, above=above, at=clock.now())
        except (OtaError, CannotServeError) as error:
            raise CommandError(str(error)) from error
        for line in reporting.lines(recovered, operations.unknown_tenants()):
            self.stdout.write(line)
        if operations.has_other_secrets(folder):
            self.stdout.write(
                f"{folder}/secrets.json has another secret key than {settings.VAR_DIR}: without it no authenticator "
                "opens the console, and webhooks are signed with other keys. Copy it there before the server starts."
            )
