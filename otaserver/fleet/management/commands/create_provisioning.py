"""`create_provisioning TENANT NAME ADDRESS FILE`: a credential that many vehicles share to become known."""

import os
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.errors import OtaError
from otaserver.fleet import operations
from otaserver.tenants.models import Tenant


class Command(BaseCommand):
    help = "Write the credentials.zip with which a tenant's new vehicles provision themselves (aktualizr); it is new."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("name", help="what operators know it by: a-z, 0-9 and hyphen")
        parser.add_argument("address", help="where vehicles find this server: https://HOST/aktualizr/TENANT")
        parser.add_argument("file", help="where to write it; it must not exist")
        parser.add_argument("--days", type=int, default=365, help="how long it is good for (default: 365)")

    def handle(
        self, *args: Any, tenant: str, name: str, address: str, file: str, days: int = 365, **options: Any
    ) -> None:
        owner = Tenant.objects.filter(name=tenant.lower()).first()
        if owner is None:
            raise CommandError(f"There is no tenant {tenant!r}.")
        try:
            # First: what cannot be kept is not issued. It holds a private key, so that only its owner may read it.
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
        with os.fdopen(descriptor, "wb") as target:
            try:
                issued = operations.issue_provisioning_credential(
                    owner, name=name, address=address, valid_for=timedelta(days=days), by="command", at=clock.now()
                )
            except OtaError as error:
                os.unlink(file)
                raise CommandError(error.message) from error
            target.write(issued.archive)
        self.stdout.write(f"{file} is good until {issued.credential.expires_at:%Y-%m-%d}.")
