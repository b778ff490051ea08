"""What one may give to others, and how often one may try to get in."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from otaserver.tenants.states import PERMISSIONS, Permission

PERSONAL_TOKEN_DAYS = 90
# Who else stands in the records.
NOBODYS_NAMES = frozenset({"command", "engine", "server", "sign-on", "tick", "vehicle"})
# Without a colon, which begins the name of what is no person (`token:ci`); ASCII, so that no two look the same.
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.@+_-]{0,149}\Z")
MAX_TOKEN_LIFE = timedelta(days=366)
INVITATION_LIFE = timedelta(days=7)
# How long a session may take from the password to the second factor.
SECOND_STEP = timedelta(minutes=5)
# An address from which somebody came in is known for so long; no try is kept longer.
KNOWN = timedelta(days=30)
RECOVERY_CODES = 10
# By how many steps of half a minute an authenticator may be early or late.
AUTHENTICATOR_TOLERANCE = 1
WINDOW = timedelta(minutes=15)
# From one address for one account; for one account from everywhere; from one address for all accounts.
MAX_FAILURES_OF_PAIR = 5
MAX_FAILURES_OF_ACCOUNT = 20
MAX_FAILURES_OF_ADDRESS = 100


@dataclass(frozen=True)
class Grantor:
    """Who gives a role or a token: their name in the records, what they may themselves, and until when (None: ever).

    `personal_token` is the name of the one that they give it with; empty: none.
    """

    actor: str
    permissions: frozenset[Permission]
    until: datetime | None = None
    personal_token: str = ""

    def lacks(self, given: Iterable[str]) -> list[str]:
        """Return, in order, what they would give without having it."""
        return sorted(set(given) - self.permissions)


@dataclass(frozen=True)
class Failures:
    """Failed tries within the window, by where they came from."""

    of_pair: int
    of_account: int
    of_address: int


def username_problem(name: str) -> str | None:
    """Return why nobody can have this name, as a sentence, or None."""
    if not _USERNAME.match(name):
        return f"A name is 1 to 150 of A-Z, a-z, 0-9 and . @ + - _, the first a letter or a digit; {name!r} is not."
    if name.lower() in NOBODYS_NAMES:
        return f"{name!r} stands in the records for what no person did."
    return None


def scopes_problem(role: str, scopes: Sequence[str] | None) -> str | None:
    """Return why a token of this role cannot carry these permissions, as a sentence, or None."""
    if scopes is None:
        return None
    if not scopes:
        return "A token without any permission opens nothing; leave them out for all that the role has."
    beyond = sorted(set(scopes) - PERMISSIONS[role])
    return f"The role {role} does not have the permission {', '.join(beyond)}." if beyond else None


def expiry_problem(expires_at: datetime | None, *, at: datetime) -> str | None:
    """Return why a token cannot end then, as a sentence, or None; None as its end: it has none."""
    if expires_at is None or at < expires_at <= at + MAX_TOKEN_LIFE:
        return None
    return f"A token ends within {MAX_TOKEN_LIFE.days} days from now; {expires_at.isoformat()} is not in them."


def person_of(actor: str, *, makers: Mapping[str, str], users: frozenset[str]) -> str:
    """Return who answers for an actor of the records: whoever made a token knows it, and is no second person.

    `makers`: by whom each service token (`token:<name>`) was made. One that was made on the server itself, or by a
    token of which this holds, stands for whoever has been given it.
    """
    while actor not in users and actor in makers:
        maker = makers[actor]
        if maker not in users and maker not in makers:
            return actor
        actor = maker
    return actor


def authenticator_key(secret: bytes) -> str:
    """Return the secret of an authenticator as people type it."""
    return base64.b32encode(secret).decode()


def authenticator_url(secret: bytes, name: str, *, issuer: str) -> str:
    """Return what an authenticator reads from a picture (Key Uri Format of Google Authenticator, which all take)."""
    asked = {"secret": authenticator_key(secret), "issuer": issuer, "algorithm": "SHA1", "digits": 6, "period": 30}
    return f"otpauth://totp/{quote(f'{issuer}:{name}')}?{urlencode(asked, quote_via=quote)}"


def is_throttled(failures: Failures, *, is_known_address: bool) -> bool:
    """Return whether another try has to wait.

    The failures include the try itself. Where an account succeeded before, from that address the tries of others
    elsewhere do not count: nobody locks its owner out.
    """
    if failures.of_pair > MAX_FAILURES_OF_PAIR or failures.of_address > MAX_FAILURES_OF_ADDRESS:
        return True
    return failures.of_account > MAX_FAILURES_OF_ACCOUNT and not is_known_address
