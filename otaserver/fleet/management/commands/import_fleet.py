"""`import_fleet TENANT FILE`: take a file of vehicles in, here and now, and say what that did."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.errors import OtaError
from otaserver.fleet import operations
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.states import ImportState
from otaserver.tenants.models import Tenant

_SHOWN = 100


class Command(BaseCommand):
    help = "Take in vehicles from CSV or JSON Lines; lines with mistakes are left out and named."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("file", type=Path, help="its name ends in .csv or .jsonl")
        parser.add_argument("--dry-run", action="store_true", help="write nothing: only say what would be")

    def handle(self, *args: Any, tenant: str, file: Path, dry_run: bool, **options: Any) -> None:
        owner = Tenant.objects.filter(name=tenant.lower()).first()
        if owner is None:
            raise CommandError(f"There is no tenant {tenant!r}.")
        try:
            with file.open("rb") as stream:
                row = operations.begin_import(
                    owner,
                    stream,
                    filename=file.name,
                    kind=file.suffix.removeprefix("."),
                    is_dry_run=dry_run,
                    by="command",
                    at=clock.now(),
                )
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        except OtaError as error:
            raise CommandError(error.message) from error
        # A worker may have been faster: then its result is the one to tell.
        done = operations.run_import(row.pk, now=clock.now) or row
        self._tell(FleetImport.objects.get(pk=done.pk))

    def _tell(self, row: FleetImport) -> None:
        for problem in row.problems.order_by("line")[:_SHOWN]:
            self.stdout.write(f"line {problem.line}: {problem.code}: {problem.value!r}: {problem.rule}")
        for name, count in row.counts.items():
            self.stdout.write(f"{name}: {count}")
        if row.state != ImportState.FINISHED:
            raise CommandError(f"The file is {row.state}. {row.failed_reason}".strip())
        if row.counts.get("refused"):
            raise CommandError(f"{row.counts['refused']} lines were left out.")
