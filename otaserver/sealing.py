"""Secrets that the server has to read again, sealed with keys that follow from its secret key: whoever has the
database alone does not have them.

To replace the secret key, name the old one in OTA_SECRET_KEY_FALLBACKS until everything is sealed anew (`seal_again`).
"""

import base64
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from otaserver.errors import ConflictError


class SecretUnreadableError(ConflictError):
    """It was sealed with a key that this server does not have."""

    code = "secret.unreadable"


def seal(secret: bytes) -> str:
    """Return the form in which a secret is stored."""
    return _sealer().encrypt(secret).decode()


def unseal(sealed: str) -> bytes:
    """Return what was sealed.

    Raises:
        SecretUnreadableError: with a key that is not among those of this server, or it was changed since.
    """
    try:
        return _sealer().decrypt(sealed.encode())
    except InvalidToken as error:
        raise SecretUnreadableError("It was sealed with another secret key than this server's.") from error


def seal_again(sealed: str) -> str:
    """Return the same secret, sealed with the newest key.

    Raises:
        SecretUnreadableError: as for `unseal`.
    """
    return seal(unseal(sealed))


def _sealer() -> MultiFernet:
    return MultiFernet([_fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


@cache
def _fernet(secret_key: str) -> Fernet:
    # A key of its own for this purpose (RFC 5869): what else the secret key signs tells nothing of it.
    derived = HKDF(hashes.SHA256(), length=32, salt=None, info=b"otaserver.sealing").derive(secret_key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
