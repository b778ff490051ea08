import json
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer

# The library carries click within itself, and hands out no name of this one.
from typer._click.exceptions import ClickException

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
    members,
    packages,
    people,
    privacy,
    provisioning,
    releases,
    sessions,
    tenants,
    timing,
    trust,
    vehicles,
    verification_keys,
    watches,
    webhooks,
    workshop,
)
from clients.publisher.cli.context import Seams, choose_profile
from clients.publisher.errors import InputError, PublisherError
from clients.publisher.profiles import FIRST

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Log in, make keys, sign, publish, start, watch. Exit codes: 0 done, 2 wrong input, 3 refused by the server, "
    "4 not reachable (try again later), 5 signatures do not hold, 6 the campaign ended badly, "
    "7 its decisions do not follow from their records, 8 lines of a fleet were left out.",
)


@app.callback()
def _choose(
    context: typer.Context,
    profile: Annotated[
        str, typer.Option("--profile", envvar="OTA_PROFILE", help="Which log-in to use, if there are several")
    ] = FIRST,
) -> None:
    choose_profile(context, profile)


app.add_typer(sessions.app)
app.add_typer(members.app, name="member")
app.add_typer(members.token_app, name="token")
app.add_typer(members.my_token_app, name="my-token")
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
tenants.app.add_typer(privacy.tenant_app)
app.add_typer(tenants.app, name="tenant")
vehicles.app.add_typer(credentials.app)
vehicles.app.add_typer(watches.app)
vehicles.app.add_typer(privacy.app)
vehicles.app.add_typer(looks.vehicle_app)
app.add_typer(vehicles.app, name="vehicle")
app.add_typer(credentials.authority_app, name="authority")
app.add_typer(credentials.attribute_app, name="attribute")
app.add_typer(devices.app, name="device")
app.add_typer(ddi.app, name="ddi")
app.add_typer(provisioning.app, name="provisioning")
app.add_typer(workshop.app, name="workshop")
app.add_typer(arrivals.app, name="fleet")
app.add_typer(verification_keys.app, name="verification-key")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(webhooks.mail_app, name="mail")
app.add_typer(looks.app)


@cache
def _command() -> Any:
    """Return the tree of all commands, which takes a while to make."""
    return typer.main.get_command(app)


def run(arguments: Sequence[str], *, seams: Seams | None = None) -> int:
    """Run one command and return its exit code; failures are told in a sentence, with the stable code."""
    is_json = "--json" in arguments
    try:
        # For people the library itself draws what is wrong with the arguments.
        code = _command().main(args=list(arguments), prog_name="ota", obj=seams or Seams(), standalone_mode=not is_json)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except PublisherError as error:
        return _tell(error, is_json=is_json)
    except ClickException as error:
        return _tell(InputError(error.format_message(), code="input.usage"), is_json=is_json)
    except OSError as error:
        # Of the network a PublisherError tells: this is a file of the caller's.
        name = f"{error.filename} " if error.filename else ""
        return _tell(InputError(f"{name}cannot be used: {error.strerror}.", code="file.unusable"), is_json=is_json)
    return code if isinstance(code, int) else 0


def _tell(error: PublisherError, *, is_json: bool) -> int:
    if is_json:
        problem = {**error.details, "code": error.code, "detail": error.message}
        typer.echo(json.dumps({"error": problem}))
    else:
        typer.echo(f"{error.code}: {error.message}", err=True)
    return error.exit_code


def main() -> None:
    sys.exit(run(sys.argv[1:]))
