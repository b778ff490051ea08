from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver.recovery import sizing


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
        asked = (vehicles, poll_seconds, campaign_days, package_mb, updates_per_year)
        if min(asked) < 1 or vehicles > 10_000_000:
            raise CommandError("1 to 10,000,000 vehicles, and at least 1 of everything else.")
        fleet = sizing.Fleet(vehicles, poll_seconds, campaign_days, package_mb * 1000**2, updates_per_year)
        for line in sizing.lines(fleet):
            self.stdout.write(line)
