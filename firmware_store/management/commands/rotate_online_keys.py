from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from firmware_store.trust import operations as trust
from otaserver import clock
from otaserver.audit import operations as audit
from otaserver.errors import OtaError
from otaserver.tenants.models import Tenant


class Command(BaseCommand):
    help = "Make the next online keys of a tenant; each becomes active with the next root, which has to list it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")

    def handle(self, *, tenant: str, **options: Any) -> None:
        at = clock.now()
        found = Tenant.objects.filter(name=tenant.lower()).first()
        if found is None:
            raise CommandError(f"There is no tenant {tenant!r}.")
        try:
            with transaction.atomic():
                made = trust.create_online_keys(found, at=at, rotate=True)
                if made:
                    audit.record(
                        "online_keys.rotated",
                        found,
                        tenant=found,
                        by="command",
                        at=at,
                        keys=[key.keyid for key in made],
                    )
        except OtaError as error:
            raise CommandError(error.message) from error
        if not made:
            self.stdout.write("The next keys wait for a root already; nothing was made.")
        for key in made:
            self.stdout.write(f"{key.repository} {key.role} {key.keyid}")
