import re
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from otaserver import clock
from otaserver.errors import OtaError
from otaserver.recovery import operations
from otaserver.recovery.operations import Drill, Line
from otaserver.tenants.models import Tenant

ACTOR = "drill"
MARKS = {True: "[done]", False: "[open]", None: "      "}
SHORTEST = 8


class Command(BaseCommand):
    help = "Lead through what has to be done when something was stolen or must not run; repeat it until all is done."

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        for name, about in (
            ("release-key", "the key of a release role was stolen"),
            ("director-key", "an online key of the Director was stolen"),
            ("fleet-ca", "the key of the CA of vehicles' certificates was stolen"),
            ("url-secret", "the secret that signs download addresses was stolen"),
            ("withdrawn-package", "a published package must not run"),
        ):
            kind = kinds.add_parser(name, help=about)
            kind.add_argument("tenant")
            if name == "release-key":
                kind.add_argument("role")
            if name == "withdrawn-package":
                kind.add_argument("target", help="role/name-version")
            else:
                kind.add_argument(
                    "--stolen", default="", help="what was stolen, as --dry-run shows it; 8 digits suffice"
                )
            kind.add_argument("--reason", default="", help="why, for the audit record")
            kind.add_argument("--dry-run", action="store_true", help="do nothing; say how much is reached")

    def handle(self, *, kind: str, tenant: str, dry_run: bool, reason: str, **options: Any) -> None:
        found = Tenant.objects.filter(name=tenant.lower()).first()
        if found is None:
            raise CommandError(f"There is no tenant {tenant!r}.")
        # As `openssl x509 -fingerprint` writes it, too.
        stolen = options.get("stolen", "").replace(":", "").strip().lower()
        if not re.fullmatch("[0-9a-f]*", stolen):
            raise CommandError(f"--stolen is {options['stolen']!r}: hexadecimal digits, as --dry-run shows them.")
        if not dry_run and kind != "withdrawn-package" and len(stolen) < SHORTEST:
            raise CommandError(f"--stolen says which: at least {SHORTEST} digits of what --dry-run shows.")
        if not dry_run and not reason.strip():
            raise CommandError("--reason is needed: it stands in the audit record.")
        drill = Drill(found, reason=reason, by=ACTOR, at=clock.now(), does=not dry_run)
        try:
            lines = list(self._lines(kind, drill, stolen, options))
        except OtaError as error:
            raise CommandError(error.message) from error
        for line in lines:
            self.stdout.write(f"{MARKS[line.is_done]} {line.sentence}")
        left = sum(line.is_done is False for line in lines)
        if left and not dry_run:
            raise CommandError(f"{left} of these are open: do them, then run this again.")

    def _lines(self, kind: str, drill: Drill, stolen: str, options: dict[str, Any]) -> Iterator[Line]:
        if kind == "release-key":
            return operations.release_key(drill, options["role"], stolen)
        if kind == "withdrawn-package":
            return operations.withdrawn_package(drill, options["target"])
        by_kind: dict[str, Callable[[Drill, str], Iterator[Line]]] = {
            "director-key": operations.director_key,
            "fleet-ca": operations.fleet_ca,
            "url-secret": operations.url_secret,
        }
        return by_kind[kind](drill, stolen)
