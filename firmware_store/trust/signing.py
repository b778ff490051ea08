"""The keys that the server itself signs with: made under `settings.ONLINE_KEYS`, used by their URI.

Any URI that securesystemslib has a signer for works (`file2:`, `hv:`, `gcpkms:`, …). Private halves are read once per
process and kept in its memory, since a signature is due whenever a vehicle's metadata has changed.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from securesystemslib.signer import CryptoSigner, Signer, SSlibKey

from firmware_store.models import OnlineKey
from firmware_store.states import Profile
from firmware_store.trust import primitives, profiles
from firmware_store.trust.errors import OnlineKeyMissingError, OnlineKeyStoreError
from otaserver.tenants.models import Tenant


@dataclass(frozen=True)
class OnlineSigner:
    """The active key of one online role. `sign` is the signer's own, which returns the bytes of a signature."""

    keyid: str
    keytype: str
    signer: Signer
    sign: Callable[[bytes], bytes]

    def envelope(self, signed: Mapping[str, Any], profile: str) -> bytes:
        """Sign a body as it is and return its canonical envelope, to be stored and served verbatim.

        Raises:
            NotStrictJsonError: the body has no canonical form.
        """
        body = primitives.canonical(signed)
        payload = primitives.olpc(signed, text=body) if profile == Profile.TUF else body
        return self._sealed(body, payload, profile)

    def envelope_of(self, body: bytes, profile: str) -> bytes:
        """Sign a body that is canonical already and holds no key in PEM, so that both profiles sign these bytes."""
        return self._sealed(body, body, profile)

    def _sealed(self, body: bytes, payload: bytes, profile: str) -> bytes:
        return profiles.seal(body, profile, keyid=self.keyid, keytype=self.keytype, signature=self.sign(payload))


@dataclass(frozen=True)
class CreatedKey:
    uri: str
    keyid: str
    public_key: Mapping[str, Any]


def online_signer(tenant: Tenant, repository: str, role: str) -> OnlineSigner:
    """Return the signer of one online role.

    Raises:
        OnlineKeyMissingError: the tenant has no active key for it.
    """
    return online_signers(tenant, repository, roles=[role])[role]


def online_signers(tenant: Tenant, repository: str, *, roles: list[str]) -> dict[str, OnlineSigner]:
    """Return the signers of several online roles of a repository, by role, with one query.

    Raises:
        OnlineKeyMissingError: the tenant has no active key for one of them.
    """
    rows = OnlineKey.objects.filter(
        tenant=tenant, repository=repository, role__in=roles, activated_at__isnull=False, retired_at=None
    )
    signers = {row.role: _signer(row.uri, primitives.canonical(row.public_key)) for row in rows}
    missing = [role for role in roles if role not in signers]
    if missing:
        raise OnlineKeyMissingError(
            f"Tenant {tenant} has no online key for {repository} {', '.join(missing)}.", roles=missing
        )
    return signers


def create_key(tenant: Tenant, repository: str, role: str) -> CreatedKey:
    """Make a private key in a file of its own, readable for its owner alone.

    Raises:
        OnlineKeyStoreError: `settings.ONLINE_KEYS` is not a folder.
    """
    folder = _folder(str(settings.ONLINE_KEYS)) / tenant.name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = CryptoSigner.generate_ed25519()
    keyid = signer.public_key.keyid
    path = folder / f"{repository}-{role}-{keyid[:16]}.pem"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(signer.private_bytes)
        file.flush()
        os.fsync(file.fileno())
    return CreatedKey(uri=f"file2:{path}", keyid=keyid, public_key=signer.public_key.to_dict())


def is_key_at(uri: str, public_key: Mapping[str, Any]) -> bool:
    """Return whether the private half of this key is where the URI says."""
    key = SSlibKey("", public_key["keytype"], public_key["scheme"], dict(public_key["keyval"]))
    try:
        signature = Signer.from_priv_key_uri(uri, key).sign(b"probe")
    except (OSError, ValueError):
        return False
    return primitives.verify(public_key, bytes.fromhex(signature.signature), b"probe")


def _folder(place: str) -> Path:
    path = Path(place)
    if not path.is_absolute() or set("?#;") & set(str(path)):
        raise OnlineKeyStoreError(
            f"Online keys are made in a folder, given by an absolute path without ?, # and ;. {place!r} is none.",
            place=place,
        )
    return path


@lru_cache(maxsize=4096)
def _signer(uri: str, public_key: bytes) -> OnlineSigner:
    described = primitives.strict_loads(public_key, len(public_key))
    keyid = primitives.keyid_of(described)
    key = SSlibKey(keyid, described["keytype"], described["scheme"], described["keyval"])
    signer = Signer.from_priv_key_uri(uri, key)
    return OnlineSigner(keyid=keyid, keytype=key.keytype, signer=signer, sign=_signing(signer))


def _signing(signer: Signer) -> Callable[[bytes], bytes]:
    if isinstance(signer, CryptoSigner):
        private = load_pem_private_key(signer.private_bytes, None)
        if isinstance(private, Ed25519PrivateKey):
            # What the signer calls itself, without what it takes to be told the signature in hex.
            return private.sign
    return lambda payload: bytes.fromhex(signer.sign(payload).signature)
