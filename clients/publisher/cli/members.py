"""Members of the tenant, and tokens."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from clients.publisher.api import Api
from clients.publisher.cli.context import Answer, AsJson, Token, Url, now_of, open_api
from clients.publisher.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Members of the tenant, and invitations to be one.")
token_app = typer.Typer(no_args_is_help=True, help="Service tokens: for programs, with a role of their own.")
my_token_app = typer.Typer(no_args_is_help=True, help="Your own tokens: with them a program acts as you.")

Name = Annotated[str, typer.Argument(help="The member's username")]
Role = Annotated[
    str,
    typer.Argument(
        help="viewer, release_engineer, campaign_manager, approver, fleet_manager, auditor or administrator"
    ),
]
Permissions = Annotated[
    list[str], typer.Option("--permission", help="Only these of the role's permissions; may be repeated")
]


@app.command("list")
def list_members(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """List the members."""
    rows = open_api(context, url, token).rows("/members")
    Answer(as_json).rows(("username", "role", "last_sign_in_at"), rows)


@app.command()
def role(context: typer.Context, *, name: Name, role: Role, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Give a member another role."""
    api = open_api(context, url, token)
    changed = api.patch(f"/members/{_member(api, name)['id']}", {"role": role})
    Answer(as_json).say(f"{name} has the role {role}.", changed)


@app.command()
def remove(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Remove a member; their tokens and sessions end at once."""
    api = open_api(context, url, token)
    api.post(f"/members/{_member(api, name)['id']}/remove")
    Answer(as_json).say(f"{name} is no member any more.", {"removed": name})


@app.command()
def tokens(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """List a member's own tokens."""
    api = open_api(context, url, token)
    rows = api.rows(f"/members/{_member(api, name)['id']}/tokens")
    Answer(as_json).rows(("name", "created_at", "last_used_at", "expires_at", "revoked_at"), rows)


@app.command("revoke-tokens")
def revoke_tokens(context: typer.Context, *, name: Name, url: Url, token: Token, as_json: AsJson = False) -> None:
    """End all of a member's own tokens."""
    api = open_api(context, url, token)
    ended = api.post(f"/members/{_member(api, name)['id']}/tokens/revoke")
    Answer(as_json).say(f"{ended['revoked']} token(s) of {name} revoked.", ended)


@app.command()
def invite(
    context: typer.Context,
    *,
    role: Role,
    url: Url,
    token: Token,
    email: Annotated[str, typer.Option("--email", help="Where the server sends the link, if it sends e-mail")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a link by which one person becomes a member; it is shown this once."""
    made = open_api(context, url, token).post("/invitations", {"role": role, "email": email})
    Answer(as_json).say(made["link"], made)


@app.command()
def invitations(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """List invitations."""
    rows = open_api(context, url, token).rows("/invitations")
    Answer(as_json).rows(("id", "role", "email", "created_by", "expires_at", "accepted_by", "revoked_at"), rows)


@app.command()
def uninvite(context: typer.Context, *, invitation: int, url: Url, token: Token, as_json: AsJson = False) -> None:
    """End an invitation that nobody has accepted, by its number in the list."""
    ended = open_api(context, url, token).post(f"/invitations/{invitation}/revoke")
    Answer(as_json).say(f"Invitation {invitation} is over.", ended)


@token_app.command("list")
def list_tokens(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """List the tenant's service tokens."""
    rows = open_api(context, url, token).rows("/tokens")
    Answer(as_json).rows(("name", "role", "created_by", "last_used_at", "expires_at", "revoked_at"), rows)


@token_app.command("create")
def create_token(
    context: typer.Context,
    *,
    name: str,
    role: Role,
    url: Url,
    token: Token,
    permission: Permissions = [],  # noqa: B006 - typer copies it
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=366, help="It ends after so many; none: never")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a service token; it is shown this once."""
    body: dict[str, Any] = {"name": name, "role": role, "permissions": permission or None}
    made = open_api(context, url, token).post("/tokens", body | _end(context, days))
    Answer(as_json).say(made["token"], made)


@token_app.command("revoke")
def revoke_token(context: typer.Context, *, name: str, url: Url, token: Token, as_json: AsJson = False) -> None:
    """End a service token."""
    api = open_api(context, url, token)
    ended = api.post(f"/tokens/{_named(api, '/tokens', name)['id']}/revoke")
    Answer(as_json).say(f"Token {name} is revoked.", ended)


@my_token_app.command("list")
def list_own(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """List your own tokens."""
    rows = open_api(context, url, token).rows("/me/tokens")
    Answer(as_json).rows(("name", "created_at", "last_used_at", "expires_at", "revoked_at"), rows)


@my_token_app.command("create")
def create_own(
    context: typer.Context,
    *,
    name: str,
    url: Url,
    token: Token,
    permission: Permissions = [],  # noqa: B006 - typer copies it
    days: Annotated[int | None, typer.Option("--days", min=1, max=366, help="It ends after so many (90)")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token that acts as you; it is shown this once, and ends no later than the one that makes it."""
    body: dict[str, Any] = {"name": name, "permissions": permission or None}
    made = open_api(context, url, token).post("/me/tokens", body | _end(context, days))
    Answer(as_json).say(made["token"], made)


@my_token_app.command("revoke")
def revoke_own(context: typer.Context, *, name: str, url: Url, token: Token, as_json: AsJson = False) -> None:
    """End one of your own tokens."""
    api = open_api(context, url, token)
    ended = api.post(f"/me/tokens/{_named(api, '/me/tokens', name)['id']}/revoke")
    Answer(as_json).say(f"Token {name} is revoked.", ended)


def _member(api: Api, name: str) -> dict[str, Any]:
    return _named(api, "/members", name, key="username")


def _named(api: Api, path: str, name: str, *, key: str = "name") -> dict[str, Any]:
    for row in api.rows(path):
        if row[key] == name:
            found: dict[str, Any] = row
            return found
    raise InputError(f"There is no {name!r} in {path}.", code="input.unknown_name")


def _end(context: typer.Context, days: int | None) -> dict[str, str]:
    if days is None:
        return {}
    at: datetime = now_of(context).astimezone(UTC) + timedelta(days=days)
    return {"expires_at": at.isoformat()}
