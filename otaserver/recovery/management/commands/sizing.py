from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver.recovery import sizing

# Beyond them nothing was measured.
MOST_VEHICLES = 10_000_000


class Command(BaseCommand):
    help = "Print how much machine a fleet needs, with the arithmetic; of this database it asks nothing."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--vehicles", type=int, required=True)
        parser.add_argument("--poll-seconds", type=int, default=300)
        parser.add_argument("--campaign-days", type=int, default=14, help="in which all of them are updated once")
        parser.add_argument("--package-mb", type=int, default=200, help="downloaded by each in an update, in MB")
        parser.add_argument("--updates-per-year", type=int, default=6)

    def handle(
        self,
        *,
        vehicles: int,
        poll_seconds: int,
        campaign_days: int,
        package_mb: int,
        updates_per_year: int,
        **options: Any,
    ) -> None:
        if not 1 <= vehicles <= MOST_VEHICLES:
            raise CommandError(f"--vehicles is {vehicles:,}: from 1 to {MOST_VEHICLES:,}.")
        for name, value in (
            ("--poll-seconds", poll_seconds),
            ("--campaign-days", campaign_days),
            ("--package-mb", package_mb),
            ("--updates-per-year", updates_per_year),
        ):
            if value < 1:
                raise CommandError(f"{name} is {value}: at least 1.")
        fleet = sizing.Fleet(vehicles, poll_seconds, campaign_days, package_mb * 1000**2, updates_per_year)
        for line in sizing.lines(fleet):
            self.stdout.write(line)
