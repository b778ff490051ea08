"""A vehicle's credentials and its life: further commands of `vehicle`; and the CAs of the fleet, `authority`."""

from typing import Annotated

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api
from clients.publisher.cli.vehicles import Reason, VehicleId, address

app = typer.Typer()
authority_app = typer.Typer(no_args_is_help=True, help="The CAs that issue vehicles' certificates.")
attribute_app = typer.Typer(no_args_is_help=True, help="Facts that are kept of vehicles.")
AttributeName = Annotated[str, typer.Argument(help="The attribute's name")]


@app.command()
def credentials(
    context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, as_json: AsJson = False
) -> None:
    """Show a vehicle's credentials, the newest first; never their secrets."""
    rows = open_api(context, url, token).rows(address(vehicle_id, "credentials"))
    Answer(as_json).rows(("kind", "generation", "created_at", "used_at", "expires_at", "revoked_at"), rows)


@app.command()
def revoke(
    context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, reason: Reason, as_json: AsJson = False
) -> None:
    """End every credential of a vehicle now; it needs a claim code to come back."""
    ended = open_api(context, url, token).post(address(vehicle_id, "credentials/revoke"), {"reason": reason})
    Answer(as_json).say(f"{ended['revoked']} credentials of {vehicle_id} have ended.", ended)


@app.command()
def expiring(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    days: Annotated[int, typer.Option("--days", help="within so many days")] = 30,
    as_json: AsJson = False,
) -> None:
    """Show vehicles whose last credential ends soon or has ended: those that have been silent."""
    rows = open_api(context, url, token).rows("/credentials/expiring", days=str(days))
    Answer(as_json).rows(("vehicle_id", "credentials_end_at", "last_contact_at"), rows)


@app.command("swap-ecu")
def swap_ecu(
    context: typer.Context,
    *,
    vehicle_id: VehicleId,
    old: Annotated[str, typer.Argument(help="The serial of the ECU that goes")],
    url: Url,
    token: Token,
    reason: Reason,
    new: Annotated[
        str, typer.Option("--new", help="the serial that comes; the same for another key; any if left out")
    ] = "",
    hardware_id: Annotated[
        str, typer.Option("--hardware-id", help="of the one that comes; as it was if left out")
    ] = "",
    hours: Annotated[int, typer.Option("--hours", help="for how long the vehicle may declare it")] = 24 * 14,
    as_json: AsJson = False,
) -> None:
    """Announce that a workshop replaces one ECU of a vehicle, or that it gets another key."""
    body = {"old_serial": old, "new_serial": new, "hardware_id": hardware_id, "reason": reason, "valid_hours": hours}
    swap = open_api(context, url, token).post(address(vehicle_id, "ecu-swaps"), body)
    Answer(as_json).say(f"{vehicle_id} may replace {old} until {swap['expires_at']}.", swap)


@app.command("sell")
def sell(
    context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, reason: Reason, as_json: AsJson = False
) -> None:
    """End what a vehicle had of its owner; prints the claim code for the next one, this once."""
    sale = open_api(context, url, token).post(address(vehicle_id, "sale"), {"reason": reason})
    Answer(as_json).say(f"Claim code of the next owner: {sale['claim_code']} (until {sale['expires_at']})", sale)


@app.command()
def decommission(
    context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, reason: Reason, as_json: AsJson = False
) -> None:
    """End a vehicle: no credentials, in no group and no campaign; its records stay."""
    ended = open_api(context, url, token).post(address(vehicle_id, "decommission"), {"reason": reason})
    Answer(as_json).say(f"{vehicle_id} is decommissioned.", ended)


@app.command()
def recommission(
    context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, reason: Reason, as_json: AsJson = False
) -> None:
    """Let a decommissioned vehicle enrol again; it needs a new claim code."""
    vehicle = open_api(context, url, token).post(address(vehicle_id, "recommission"), {"reason": reason})
    Answer(as_json).say(f"{vehicle_id} may enrol again.", vehicle)


@app.command("claim-code")
def claim_code(
    context: typer.Context, *, vehicle_id: VehicleId, url: Url, token: Token, as_json: AsJson = False
) -> None:
    """Print a claim code with which a vehicle can enrol once, or declare other ECUs once; shown this once."""
    made = open_api(context, url, token).post("/claim-codes", {"vehicle_ids": [vehicle_id]})
    Answer(as_json).say(made["claim_codes"][0]["claim_code"], made)


@authority_app.command("list")
def authorities(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the CA that issues now, and retired ones with how many of their certificates are still good."""
    found = open_api(context, url, token).get("/fleet-authorities")
    answer = Answer(as_json)
    if as_json:
        answer.say("", found)
        return
    since = found["issuing"]["created_at"] if found["issuing"] else "never"
    answer.say(f"Issuing since {since}.", found)
    answer.rows(("id", "created_at", "retired_at", "ended_at", "certificates"), found["retired"])


@authority_app.command("rotate")
def rotate(context: typer.Context, *, url: Url, token: Token, reason: Reason, as_json: AsJson = False) -> None:
    """Let a new CA issue from now on; vehicles get certificates of it when they renew."""
    found = open_api(context, url, token).post("/fleet-authorities/rotate", {"reason": reason})
    Answer(as_json).say(f"A new CA issues; {len(found['retired'])} retired.", found)


@authority_app.command("end")
def end(
    context: typer.Context,
    *,
    authority: Annotated[int, typer.Argument(help="The retired CA's id")],
    url: Url,
    token: Token,
    reason: Reason,
    with_certificates: Annotated[
        bool, typer.Option("--with-certificates", help="also while vehicles have certificates of it: those end")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Trust a retired CA no more."""
    body = {"reason": reason, "ends_certificates": with_certificates}
    ended = open_api(context, url, token).post(f"/fleet-authorities/{authority}/end", body)
    Answer(as_json).say(f"It is trusted no more; {ended['certificates']} certificates ended with it.", ended)


@attribute_app.command("list")
def attributes(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the attributes that are kept of vehicles."""
    rows = open_api(context, url, token).rows("/attributes")
    Answer(as_json).rows(("name", "type", "is_personal", "description"), rows)


@attribute_app.command("declare")
def declare(
    context: typer.Context,
    *,
    name: AttributeName,
    kind: Annotated[str, typer.Argument(help="text, number, boolean or time")],
    url: Url,
    token: Token,
    personal: Annotated[bool, typer.Option("--personal", help="it tells of the owner, and goes at a sale")] = False,
    description: Annotated[str, typer.Option("--description")] = "",
    as_json: AsJson = False,
) -> None:
    """Declare that a fact is kept of every vehicle."""
    body = {"name": name, "type": kind, "description": description, "is_personal": personal}
    made = open_api(context, url, token).post("/attributes", body)
    Answer(as_json).say(f"Attribute {name} is kept of every vehicle.", made)


@attribute_app.command("mark")
def mark(
    context: typer.Context,
    *,
    name: AttributeName,
    url: Url,
    token: Token,
    personal: Annotated[bool, typer.Option("--personal/--not-personal", help="whether it goes at a sale")],
    as_json: AsJson = False,
) -> None:
    """Say whether an attribute tells of a vehicle's owner."""
    marked = open_api(context, url, token).patch(f"/attributes/{name}", {"is_personal": personal})
    Answer(as_json).say(f"Attribute {name} is {'' if marked['is_personal'] else 'not '}personal.", marked)
