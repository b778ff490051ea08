from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.embedded.errors import CannotServeError
from otaserver.errors import OtaError
from otaserver.recovery import operations
from otaserver.recovery.management import holding, reporting


class Command(BaseCommand):
    help = "Raise versions above all that vehicles have seen, after the database was restored by other means."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--above", type=int, help="the highest version given out, where nothing noted it")

    def handle(self, *, above: int | None, **options: Any) -> None:
        try:
            with holding.nothing_else_runs():
                recovered = operations.recover(above=above, at=clock.now())
        except (OtaError, CannotServeError) as error:
            raise CommandError(str(error)) from error
        for line in reporting.lines(recovered, operations.unknown_tenants()):
            self.stdout.write(line)
