import json
import sys
from collections.abc import Sequence

import typer

from clients.publisher.cli import (
    arrivals,
    campaigns,
    credentials,
    ddi,
    devices,
    forecasts,
    groups,
    keys,
    looks,
    packages,
    people,
    releases,
    tenants,
    timing,
    trust,
    vehicles,
    verification_keys,
    watches,
    webhooks,
    workshop,
)
from clients.publisher.cli.context import Seams
from clients.publisher.errors import PublisherError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Make keys, sign, publish, start, watch. Exit codes: 0 done, 2 wrong input, 3 refused by the server, "
    "4 not reachable (try again later), 5 signatures do not hold, 6 the campaign ended badly, "
    "7 its decisions do not follow from their records, 8 lines of a fleet were left out.",
)
app.add_typer(keys.app, name="keys")
app.add_typer(trust.app, name="trust")
app.add_typer(trust.root_app, name="root")
app.add_typer(packages.app)
releases.app.add_typer(looks.release_app)
app.add_typer(releases.app, name="release")
groups.app.add_typer(looks.group_app)
app.add_typer(groups.app, name="group")
campaigns.app.add_typer(people.app)
campaigns.app.add_typer(forecasts.app)
campaigns.app.add_typer(looks.campaign_app)
app.add_typer(campaigns.app, name="campaign")
app.add_typer(timing.app, name="blackout")
app.command()(timing.freeze)
app.add_typer(tenants.app, name="tenant")
vehicles.app.add_typer(credentials.app)
vehicles.app.add_typer(watches.app)
vehicles.app.add_typer(looks.vehicle_app)
app.add_typer(vehicles.app, name="vehicle")
app.add_typer(credentials.authority_app, name="authority")
app.add_typer(credentials.attribute_app, name="attribute")
app.add_typer(devices.app, name="device")
app.add_typer(ddi.app, name="ddi")
app.add_typer(workshop.app, name="workshop")
app.add_typer(arrivals.app, name="fleet")
app.add_typer(verification_keys.app, name="verification-key")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(webhooks.mail_app, name="mail")
app.add_typer(looks.app)


def run(arguments: Sequence[str], *, seams: Seams | None = None) -> int:
    """Run one command and return its exit code; failures are told in a sentence, with the stable code."""
    command = typer.main.get_command(app)
    try:
        command.main(args=list(arguments), prog_name="publisher", obj=seams or Seams())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except PublisherError as error:
        _tell(error, is_json="--json" in arguments)
        return error.exit_code
    return 0


def _tell(error: PublisherError, *, is_json: bool) -> None:
    if is_json:
        problem = {**error.details, "code": error.code, "detail": error.message}
        typer.echo(json.dumps({"error": problem}))
    else:
        typer.echo(f"{error.code}: {error.message}", err=True)


def main() -> None:
    sys.exit(run(sys.argv[1:]))
