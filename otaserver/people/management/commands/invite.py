from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.people import operations
from otaserver.people.invitation_mail import link_of
from otaserver.people.rules import Grantor
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission, Role


class Command(BaseCommand):
    help = "Make a link by which one person becomes a member, and print its path, once: a tenant's first member."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant")
        parser.add_argument("role", choices=Role.values)

    def handle(self, *, tenant: str, role: str, **options: Any) -> None:
        found = Tenant.objects.filter(name=tenant.lower()).first()
        if found is None:
            raise CommandError(f"There is no tenant {tenant!r}.")
        everything = Grantor("command", frozenset(Permission))
        _invitation, secret = operations.invite(found, role=role, by=everything, at=clock.now())
        self.stdout.write(link_of(secret))
