"""Each ECU's own key, and the bytes it signs: canonical JSON in printable ASCII."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.vehicle.disk import Disk


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the one form of `document` that is signed.

    Printable ASCII and integers only, where OLPC canonical JSON and sorted compact JSON are the same bytes.

    Raises:
        ValueError: a string holds anything else.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    if not (text.isascii() and text.isprintable()):
        raise ValueError("only printable ASCII is signed.")
    return text.encode("ascii")


def printable(text: str, length: int = 500) -> str:
    """Return `text` as signable printable ASCII of at most `length` characters."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in text)[:length]


class EcuKey:
    """An Ed25519 key that never leaves its ECU."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        public = private.public_key().public_bytes_raw().hex()
        self.public_key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}}
        self.keyid = hashlib.sha256(canonical(self.public_key)).hexdigest()

    @classmethod
    def load_or_create(cls, path: Path, disk: Disk) -> "EcuKey":
        """Read the key at `path`; on the first start make one and store it before anyone hears of it."""
        if not path.exists():
            disk.write(path, Ed25519PrivateKey.generate().private_bytes_raw().hex().encode(), mode=0o600)
        return cls(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii"))))

    def envelope(self, signed: Mapping[str, Any]) -> dict[str, Any]:
        """Return `signed` with this key's signature, as Uptane 5.4.2.1 wants it (with the hash of the payload)."""
        payload = canonical(signed)
        signature = {
            "keyid": self.keyid,
            "method": "ed25519",
            "hash": {"function": "sha256", "digest": hashlib.sha256(payload).hexdigest()},
            "sig": self._private.sign(payload).hex(),
        }
        return {"signatures": [signature], "signed": dict(signed)}
