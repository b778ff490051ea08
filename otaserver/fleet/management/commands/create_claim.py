"""`create_claim TENANT VEHICLE_ID`: print a claim code with which that vehicle can enrol once."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.errors import OtaError
from otaserver.fleet import operations
from otaserver.tenants.models import Tenant


class Command(BaseCommand):
    help = "Print a new claim code for a vehicle; it is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("vehicle_id")
        parser.add_argument("--days", type=int, default=30, help="how long the code is valid (default: 30)")

    def handle(self, *args: Any, tenant: str, vehicle_id: str, days: int, **options: Any) -> None:
        owner = Tenant.objects.filter(name=tenant.lower()).first()
        if owner is None:
            raise CommandError(f"There is no tenant {tenant!r}.")
        try:
            code = operations.create_claim_code(owner, vehicle_id, at=clock.now(), valid_for=timedelta(days=days))
        except OtaError as error:
            raise CommandError(error.message) from error
        self.stdout.write(code)
