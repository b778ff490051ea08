from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from firmware_store.trust import operations as trust
from otaserver import clock
from otaserver.audit import operations as audit
from otaserver.errors import OtaError
from otaserver.tenants import operations as tenants


class Command(BaseCommand):
    help = "Create a tenant and the keys that the server signs its online metadata with."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--title", default="")
        parser.add_argument(
            "--public-targets",
            action="store_true",
            help="anybody may download packages, not only the tenant's vehicles",
        )

    def handle(self, *, name: str, title: str, public_targets: bool, **options: Any) -> None:
        at = clock.now()
        try:
            with transaction.atomic():
                tenant = tenants.create_tenant(name, title=title, at=at)
                tenant.has_public_targets = public_targets
                tenant.save(update_fields=["has_public_targets"])
                trust.create_online_keys(tenant, at=at)
                audit.record(
                    "tenant.created", tenant, tenant=tenant, by="command", at=at, has_public_targets=public_targets
                )
        except OtaError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"Tenant {tenant} is there; its next steps are an Image root and a Director root.")
