"""Webhooks and mail: who is told what happens."""

from typing import Annotated, Any

import typer

from clients.publisher.api import Api
from clients.publisher.cli.context import Answer, AsJson, Token, Url, open_api

app = typer.Typer(no_args_is_help=True, help="Webhooks: where events are posted to.")
mail_app = typer.Typer(no_args_is_help=True, help="Mail: who is written to about what.")
Id = Annotated[int, typer.Argument(help="The webhook's id, as `webhook list` shows it")]
DeliveryId = Annotated[int, typer.Argument(help="The delivery's id, as `webhook deliveries` shows it")]
Types = Annotated[
    list[str], typer.Option("--type", help="An event type, or campaign.* and the like; may be repeated; default: all")
]
Kinds = Annotated[list[str], typer.Option("--kind", help="halts, approvals, expiries or webhooks; may be repeated")]


@app.command("add")
def add(
    context: typer.Context,
    *,
    to: Annotated[str, typer.Argument(help="Where to, like https://hooks.example.com/ota")],
    url: Url,
    token: Token,
    type_: Types = [],  # noqa: B006 - typer copies it
    description: Annotated[str, typer.Option("--description")] = "",
    as_json: AsJson = False,
) -> None:
    """Add a webhook, and show its secret, this once."""
    body = {"url": to, "types": type_, "description": description}
    made = open_api(context, url, token).post("/webhooks", body)
    Answer(as_json).say(f"Webhook {made['id']} goes to {to}. Its secret, shown only now: {made['secret']}", made)


@app.command("list")
def show(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the webhooks."""
    rows = open_api(context, url, token).rows("/webhooks")
    Answer(as_json).rows(("id", "url", "types", "state", "reason", "failing_since"), rows)


@app.command()
def edit(
    context: typer.Context,
    *,
    webhook: Id,
    url: Url,
    token: Token,
    to: Annotated[str | None, typer.Option("--to", help="Where to from now on")] = None,
    type_: Types = [],  # noqa: B006 - typer copies it
    all_types: Annotated[bool, typer.Option("--all-types", help="All types again")] = False,
    description: Annotated[str | None, typer.Option("--description")] = None,
    as_json: AsJson = False,
) -> None:
    """Change where a webhook goes, or which events."""
    given: dict[str, Any] = {"url": to, "description": description}
    changes = {name: value for name, value in given.items() if value is not None}
    if type_ or all_types:
        changes["types"] = [] if all_types else type_
    changed = open_api(context, url, token).patch(f"/webhooks/{webhook}", changes)
    Answer(as_json).say(f"Webhook {webhook} goes to {changed['url']}.", changed)


def _act(api: Api, webhook: int, action: str, as_json: bool, **body: Any) -> None:
    moved = api.post(f"/webhooks/{webhook}/{action}", body)
    Answer(as_json).say(f"Webhook {webhook} is {moved['state']}.", moved)


@app.command()
def pause(
    context: typer.Context,
    *,
    webhook: Id,
    url: Url,
    token: Token,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the audit record")],
    as_json: AsJson = False,
) -> None:
    """Deliver nothing to a webhook for now."""
    _act(open_api(context, url, token), webhook, "pause", as_json, reason=reason)


@app.command()
def resume(context: typer.Context, *, webhook: Id, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Deliver to a paused webhook again, what waits first."""
    _act(open_api(context, url, token), webhook, "resume", as_json)


@app.command()
def remove(context: typer.Context, *, webhook: Id, url: Url, token: Token, as_json: AsJson = False) -> None:
    """End a webhook for good."""
    _act(open_api(context, url, token), webhook, "remove", as_json)


@app.command("rotate-secret")
def rotate_secret(context: typer.Context, *, webhook: Id, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Give a webhook a new secret; for a day the old one signs as well."""
    made = open_api(context, url, token).post(f"/webhooks/{webhook}/rotate-secret")
    Answer(as_json).say(
        f"The new secret, shown only now: {made['secret']} (the old one signs until {made['previous_until']})", made
    )


@app.command()
def test(context: typer.Context, *, webhook: Id, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Send a webhook an event that says nothing."""
    made = open_api(context, url, token).post(f"/webhooks/{webhook}/test")
    Answer(as_json).say(f"Delivery {made['id']} is on its way; see `webhook deliveries {webhook}`.", made)


@app.command()
def deliveries(
    context: typer.Context,
    *,
    webhook: Id,
    url: Url,
    token: Token,
    state: Annotated[str, typer.Option("--state", help="pending, delivered or failed")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what was delivered, newest first, with each try (in full with --json)."""
    only = {"state": state} if state else {}
    rows = [_with_last(row) for row in open_api(context, url, token).rows(f"/webhooks/{webhook}/deliveries", **only)]
    Answer(as_json).rows(("id", "type", "subject", "state", "tries", "status", "latency_ms", "problem", "due_at"), rows)


def _with_last(row: Any) -> dict[str, Any]:
    last = row["log"][-1] if row["log"] else {"status": None, "latency_ms": None, "problem": ""}
    return {**row, **{name: last[name] for name in ("status", "latency_ms", "problem")}}


@app.command()
def replay(
    context: typer.Context,
    *,
    webhook: Id,
    url: Url,
    token: Token,
    since: Annotated[str, typer.Option("--since", help="like 2026-06-01T00:00:00Z")],
    until: Annotated[str, typer.Option("--until", help="like 2026-06-02T00:00:00Z")],
    as_json: AsJson = False,
) -> None:
    """Deliver again what happened in a time span."""
    done = open_api(context, url, token).post(f"/webhooks/{webhook}/replay", {"since": since, "until": until})
    Answer(as_json).say(f"{done['events']} event(s) are delivered again.", done)


@app.command()
def redeliver(context: typer.Context, *, delivery: DeliveryId, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Deliver one event again."""
    made = open_api(context, url, token).post(f"/webhook-deliveries/{delivery}/replay")
    Answer(as_json).say(f"Delivery {made['id']} is on its way.", made)


@app.command("types")
def types(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show the types of events."""
    rows = open_api(context, url, token).get("/event-types")
    Answer(as_json).rows(("type", "sentence", "only_when_named"), rows)


@app.command("events")
def events(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    type_: Annotated[str, typer.Option("--type", help="of this type alone")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what has happened, newest first."""
    only = {"type": type_} if type_ else {}
    rows = [
        {**row, "sentence": row["data"]["sentence"]} for row in open_api(context, url, token).rows("/events", **only)
    ]
    Answer(as_json).rows(("time", "type", "subject", "sentence"), rows)


@mail_app.command("list")
def readers(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show which member is written to about what."""
    rows = open_api(context, url, token).get("/mail-readers")
    Answer(as_json).rows(("username", "email", "role", "kinds", "is_chosen"), rows)


@mail_app.command("member")
def member(
    context: typer.Context,
    *,
    username: Annotated[str, typer.Argument(help="The member")],
    url: Url,
    token: Token,
    kind: Kinds = [],  # noqa: B006 - typer copies it
    as_json: AsJson = False,
) -> None:
    """Set what a member is written to about, in place of what their role says; without --kind: nothing."""
    chosen = open_api(context, url, token).put(f"/mail-readers/{username}", {"kinds": kind})
    Answer(as_json).say(f"{username} is written to about {', '.join(chosen['kinds']) or 'nothing'}.", chosen)


@mail_app.command("settings")
def settings(
    context: typer.Context,
    *,
    url: Url,
    token: Token,
    kind: Kinds = [],  # noqa: B006 - typer copies it
    address: Annotated[
        list[str], typer.Option("--address", help="A further address, like a team's mailbox; '' for none any more")
    ] = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show what is written about at all, or, with options, set it: what no option names stays as it is."""
    api = open_api(context, url, token)
    found = api.get("/mail-settings")
    given = {name: values for name, values in (("kinds", kind), ("addresses", address)) if values}
    if given:
        # An empty one is nobody's address: with it alone the list becomes empty.
        found = api.put("/mail-settings", found | {name: [one for one in each if one] for name, each in given.items()})
    also = ", ".join(found["addresses"]) or "nobody"
    Answer(as_json).say(f"Written about: {', '.join(found['kinds']) or 'nothing'}; also to {also}.", found)
