"""A device as mender-client is one: a key of its own, an identity, requests signed over the bytes that it sends."""

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

KINDS = ("rsa", "ecdsa", "ed25519")


def make_key(kind="ed25519"):
    if kind == "rsa":
        return _rsa()
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else Ed25519PrivateKey.generate()


@cache
def _rsa():
    # One for all tests: they take long to make.
    return rsa.generate_private_key(65537, 3072)


def pem_of(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signature_of(key, message):
    if isinstance(key, rsa.RSAPrivateKey):
        made = key.sign(message, padding.PKCS1v15(), SHA256())
    elif isinstance(key, Ed25519PrivateKey):
        made = key.sign(message)
    else:
        made = key.sign(message, ec.ECDSA(SHA256()))
    return base64.b64encode(made).decode()


@dataclass
class Device:
    """Sends what Debian's mender-client 3.4.0 sends."""

    vehicle_id: str = "WVWZZZ1KZAW000001"
    tenant_token: str = ""
    key: Any = field(default_factory=make_key)
    identity: dict[str, Any] = field(default_factory=dict)
    token: str = ""

    def said(self, **changes):
        """The body of an authentication request, as Go's encoder writes it: a line end behind it."""
        identity = json.dumps(self.identity or {"vin": self.vehicle_id}, sort_keys=True, separators=(",", ":"))
        body = {"id_data": identity, "tenant_token": self.tenant_token, "pubkey": pem_of(self.key)} | changes
        return json.dumps(body, separators=(",", ":")).encode() + b"\n"

    def authenticate(self, body=None, signature=None):
        body = self.said() if body is None else body
        answer = self.send(
            "POST",
            "v1/authentication/auth_requests",
            body,
            headers={
                "X-MEN-Signature": signature_of(self.key, body) if signature is None else signature,
                "Authorization": f"Bearer {self.tenant_token}",
            },
        )
        if answer.status_code == 200:
            self.token = answer.content.decode()
        return answer

    def send(self, method, path, body=b"", headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode() + b"\n"
        return Client().generic(
            method,
            f"/api/devices/{path}",
            data,
            content_type="application/json",
            headers=headers or {"Authorization": f"Bearer {self.token}"},
        )
