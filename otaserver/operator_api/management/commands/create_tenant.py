from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.errors import OtaError
from otaserver.operator_api import operations


class Command(BaseCommand):
    help = "Create a tenant with the keys that the server signs its online metadata with, and its fleet CA."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--title", default="")
        parser.add_argument(
            "--public-targets",
            action="store_true",
            help="anybody may download packages, not only the tenant's vehicles",
        )
        parser.add_argument(
            "--required-approvals",
            type=int,
            default=1,
            help="how many people other than its authors must approve a campaign (default 1); 0: nobody else",
        )

    def handle(
        self, *, name: str, title: str, public_targets: bool, required_approvals: int = 1, **options: Any
    ) -> None:
        try:
            tenant = operations.open_tenant(
                name,
                title=title,
                has_public_targets=public_targets,
                required_approvals=required_approvals,
                by="command",
                at=clock.now(),
            )
        except OtaError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"Tenant {tenant} is there; its next steps are an Image root and a Director root.")
