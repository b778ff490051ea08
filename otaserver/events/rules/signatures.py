"""Signed webhooks as https://www.standardwebhooks.com has them (HMAC-SHA256, version v1)."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

SECRET_PREFIX = "whsec_"


def derive_key(server_secret: str, salt: str) -> bytes:
    """Return an endpoint's key: a copy of the database, which holds the salt alone, signs nothing."""
    return hmac.digest(server_secret.encode(), f"webhook:{salt}".encode(), hashlib.sha256)


def shown(key: bytes) -> str:
    """Return the key in the form in which its owner sees it, once."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def headers(keys: Sequence[bytes], *, id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a webhook, with one signature for each key: two while the secret is being replaced."""
    timestamp = str(int(at.timestamp()))
    signed = f"{id}.{timestamp}.".encode() + body
    made = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{one}" for one in made),
    }
