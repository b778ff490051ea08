"""Logging in and out: which server, and with which token."""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from clients.publisher.cli.context import Answer, AsJson, Token, Url, api_of, open_api, profiles_of
from clients.publisher.errors import InputError
from clients.publisher.profiles import Profile

app = typer.Typer()


@app.command()
def login(
    context: typer.Context,
    *,
    url: Annotated[str, typer.Argument(help="The server, like https://ota.example.com")],
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="The file with the token; - for standard input")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remember a server and a token for it, if the server knows the token.

    The token comes from --token-file, or OTA_TOKEN, or is asked for.
    """
    profile = Profile(url.rstrip("/"), _token(token_file))
    me = api_of(context, profile).get("/me")
    profiles_of(context).store(profile)
    Answer(as_json).say(f"Logged in to {profile.url} as {_who(me)}.", me)


@app.command()
def whoami(context: typer.Context, *, url: Url, token: Token, as_json: AsJson = False) -> None:
    """Show as whom the server knows the token, in which tenant, and what it may."""
    me = open_api(context, url, token).get("/me")
    ends = f", until {me['expires_at']}" if me["expires_at"] else ""
    Answer(as_json).say(f"{_who(me)}{ends}; may: {', '.join(me['permissions'])}.", me)


@app.command()
def logout(
    context: typer.Context,
    *,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="also end the token at the server, if it is your own")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Forget the server and its token."""
    profiles = profiles_of(context)
    ended = _revoke(context, profiles.complete("", "")) if revoke else False
    removed = profiles.remove()
    sentence = "Logged out." if removed else f"There was no profile {profiles.chosen!r}."
    Answer(as_json).say(sentence, {"removed": removed, "revoked": ended})


def _revoke(context: typer.Context, profile: Profile) -> bool:
    api = api_of(context, profile)
    me = api.get("/me")
    if me["person"] is None:
        raise InputError("This is a service token, and not yours to end: ota token revoke.")
    own = next(token for token in api.rows("/me/tokens") if token["name"] == me["token"])
    api.post(f"/me/tokens/{own['id']}/revoke")
    return True


def _token(path: Path | None) -> str:
    if path is not None:
        found = sys.stdin.read() if str(path) == "-" else _content(path)
    elif os.environ.get("OTA_TOKEN"):
        found = os.environ["OTA_TOKEN"]
    elif sys.stdin.isatty():
        found = getpass.getpass("Token: ")
    else:
        raise InputError("There is nobody to ask for a token; give it as OTA_TOKEN or --token-file.")
    if not found.strip():
        raise InputError("The token is empty.")
    return found.strip()


def _content(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _who(me: dict[str, Any]) -> str:
    by = me["person"] or f"service token {me['token']}"
    return f"{by}, {me['role']} of {me['tenant']}"
