from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.people import operations
from otaserver.tenants.models import User


class Command(BaseCommand):
    help = "Take a person's authenticator and recovery codes away, for who has lost both."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is nobody called {username!r}.")
        operations.remove_second_factor(user, by="command", at=clock.now())
        self.stdout.write(f"{username} signs in with the password alone.")
