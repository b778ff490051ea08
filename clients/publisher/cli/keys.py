import json
from pathlib import Path
from typing import Annotated

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import Key, SSlibKey

from clients.publisher.cli.context import Answer, AsJson, Keys
from clients.publisher.documents import PROFILES, TUF, public_key
from clients.publisher.errors import InputError
from clients.publisher.keystore import KeyStore, StoredKey

app = typer.Typer(no_args_is_help=True, help="Offline keys.")


@app.command()
def init(
    *,
    folder: Annotated[Path, typer.Option("--dir", envvar="OTA_KEYS", help="Where the keys shall be")],
    tenant: Annotated[str, typer.Option("--tenant")],
    role: Annotated[list[str], typer.Option("--role", help="A release role, like supplier; may be repeated")],
    root_keys: Annotated[int, typer.Option("--root-keys", help="0: release roles alone, for a supplier")] = 3,
    root_threshold: Annotated[int, typer.Option("--root-threshold")] = 2,
    aktualizr: Annotated[bool, typer.Option("--aktualizr/--no-aktualizr", help="Sign for that client as well")] = True,
    as_json: AsJson = False,
) -> None:
    """Make Ed25519 keys. Done again it adds the roles that are missing and touches no key."""
    store = KeyStore.create(
        folder,
        tenant=tenant,
        roles=role,
        root_keys=root_keys,
        root_threshold=root_threshold,
        profiles=PROFILES if aktualizr else (TUF,),
    )
    Answer(as_json).say(
        f"The keys of {tenant} are in {folder}, with the release roles {', '.join(store.release_roles())}. "
        "Keep the root keys on a medium apart.",
        {"folder": str(folder), "tenant": tenant, "release_roles": store.release_roles()},
    )


@app.command("set")
def set_keys(
    *,
    role: Annotated[str, typer.Argument(help="image/root, director/root, image/targets or image/<release role>")],
    uri: Annotated[list[str], typer.Option("--uri", help="A securesystemslib key URI, like hv:name; once per key")],
    public: Annotated[list[Path], typer.Option("--public", help="The public key of each URI, in PEM or as key JSON")],
    keys: Keys,
    threshold: Annotated[int, typer.Option("--threshold")] = 1,
    as_json: AsJson = False,
) -> None:
    """Put keys that are elsewhere (a vault, a card, a cloud) in charge of a role."""
    if len(uri) != len(public):
        raise InputError(f"{len(uri)} URI(s) and {len(public)} public key(s) were given; each belongs to one.")
    stored = [StoredKey(read_public_key(path), each) for each, path in zip(uri, public, strict=True)]
    KeyStore(keys).set_role(role, stored, threshold=threshold)
    Answer(as_json).say(
        f"{role} is signed by {threshold} of {len(stored)} key(s).",
        {"role": role, "threshold": threshold, "keyids": [each.public.keyid for each in stored]},
    )


@app.command()
def public(
    role: Annotated[str, typer.Argument(help="A role in the store")], keys: Keys, as_json: AsJson = False
) -> None:
    """Show a role's public keys as JSON: what a supplier sends to whoever delegates to it."""
    found = KeyStore(keys).role(role if "/" in role else f"image/{role}")
    shown = {"threshold": found.threshold, "keys": [each.public.to_dict() for each in found.stored]}
    typer.echo(json.dumps(shown, indent=None if as_json else 2))


def read_public_key(path: Path) -> Key:
    """Return the public key in a file: PEM, or the JSON of keytype, scheme and keyval.

    Raises:
        InputError: it is neither.
    """
    try:
        data = path.read_bytes()
        if data.startswith(b"-----BEGIN"):
            return SSlibKey.from_crypto(load_pem_public_key(data))
        return public_key(json.loads(data))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path} holds no public key: {error}.", code="keys.unreadable") from error
