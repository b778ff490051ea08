from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from otaserver import clock
from otaserver.audit import operations as audit
from otaserver.errors import OtaError
from otaserver.tenants import operations as tenants
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Role


class Command(BaseCommand):
    help = "Create a service token and print it, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("name")
        parser.add_argument("role", choices=Role.values)

    def handle(self, *, tenant: str, name: str, role: str, **options: Any) -> None:
        at = clock.now()
        found = Tenant.objects.filter(name=tenant.lower()).first()
        if found is None:
            raise CommandError(f"There is no tenant {tenant!r}.")
        try:
            with transaction.atomic():
                token = tenants.issue_service_token(found, name=name, role=role, by="command", at=at)
                audit.record("token.created", name, tenant=found, by="command", at=at, role=role)
        except OtaError as error:
            raise CommandError(error.message) from error
        self.stdout.write(token)
