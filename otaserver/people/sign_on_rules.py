"""What a statement of single sign-on is worth, and which roles it gives (OpenID Connect Core 1.0)."""

import csv
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from otaserver.tenants.states import Role

# Authentication methods (RFC 8176) with which the issuer has asked for more than a password.
SECOND_FACTOR_METHODS = frozenset({"hwk", "mfa", "otp"})
# How far the issuer's clock may be from ours.
LEEWAY_SECONDS = 60
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
# The end of the year 9999, the last that there is.
_LAST_SECOND = 253402300799
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.@+_-]")


@dataclass(frozen=True)
class Grant:
    """A group of the issuer's, and the role in one tenant that it gives."""

    group: str
    tenant: str
    role: str


@dataclass(frozen=True)
class Statement:
    """What an issuer states about a person, after everything about it was verified."""

    issuer: str
    subject: str
    email: str = ""
    is_email_verified: bool = False
    groups: frozenset[str] = frozenset()
    has_second_factor: bool = False
    # What the issuer calls the session that it has with the person's browser; "": it does not say.
    session_id: str = ""


@dataclass(frozen=True)
class LogoutNotice:
    """What an issuer says of sessions that have ended, after everything about it was verified; "": it does not say."""

    issuer: str
    id: str
    expires_at: datetime
    subject: str = ""
    session_id: str = ""


def grants_in(text: str) -> tuple[Grant, ...]:
    """Return what `group=tenant:role,…` gives; a part with a comma in it stands in double quotes (RFC 4180).

    Raises:
        ValueError: a part is not of that form, or names no role.
    """
    try:
        parts = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise ValueError(f"{text!r} cannot be divided by commas ({error}); quote a whole part, as in CSV") from error
    return tuple(_grant_in(part.strip()) for part in parts if part.strip())


def is_safe_address(url: str) -> bool:
    """Return whether an issuer may be there: where nobody in between reads or answers, or on this host for a trial."""
    parts = urlsplit(url)
    is_own = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    return len(url) <= 200 and bool(parts.hostname) and (is_own or parts.scheme == "https")


def roles_of(groups: Collection[str], grants: Iterable[Grant]) -> Mapping[str, str]:
    """Return the role that these groups give in each tenant; of several in one tenant the first of `grants` counts."""
    found: dict[str, str] = {}
    for grant in grants:
        if grant.group in groups:
            found.setdefault(grant.tenant, grant.role)
    return found


def claims_problem(claims: Mapping[str, Any], *, client_id: str, nonce: str, at: datetime) -> str | None:
    """Return what is wrong with the claims of an ID token whose signature and issuer are right, or None.

    OpenID Connect Core 1.0, 3.1.3.7: who it is for, until when it holds, and that it answers our own request.
    """
    return (
        _audience_problem(claims.get("aud"), claims.get("azp"), client_id)
        or _time_problem(claims, at.timestamp())
        or (None if claims.get("nonce") == nonce else "it answers another request")
        or (None if _is_plain(claims.get("sub"), 255) else "it names nobody")
    )


def statement_of(claims: Mapping[str, Any], *, issuer: str, groups_claim: str) -> Statement:
    """Return what verified claims say. A claim of another type than it should have says nothing."""
    email, groups = claims.get("email"), claims.get(groups_claim)
    return Statement(
        issuer=issuer,
        subject=claims["sub"],
        # ASCII alone: of two addresses that a database takes for the same, one may be somebody else's.
        email=email.lower() if _is_plain(email, 254) and isinstance(email, str) else "",
        is_email_verified=claims.get("email_verified") is True,
        groups=frozenset(_texts(groups)),
        has_second_factor=not SECOND_FACTOR_METHODS.isdisjoint(_texts(claims.get("amr"))),
        session_id=_plain(claims.get("sid")),
    )


def logout_problem(claims: Mapping[str, Any], *, client_id: str, at: datetime) -> str | None:
    """Return what is wrong with the claims of a logout token whose signature and issuer are right, or None.

    OpenID Connect Back-Channel Logout 1.0, 2.4 and 2.6. One that could pass for an ID token, it forbids.
    """
    events = claims.get("events")
    if client_id not in _texts(claims.get("aud")):
        return "it is for another application"
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        return "it is no logout"
    if "nonce" in claims:
        return "it has a nonce, as an ID token has"
    if not _is_plain(claims.get("jti"), 255):
        return "it has no id of its own"
    return _time_problem(claims, at.timestamp()) or _names_problem(claims)


def logout_of(claims: Mapping[str, Any], *, issuer: str) -> LogoutNotice:
    """Return what the verified claims of a logout token say."""
    return LogoutNotice(
        issuer=issuer,
        id=claims["jti"],
        expires_at=datetime.fromtimestamp(min(claims["exp"], _LAST_SECOND), tz=UTC),
        subject=_plain(claims.get("sub")),
        session_id=_plain(claims.get("sid")),
    )


def completed(claims: Mapping[str, Any], userinfo: Mapping[str, Any], *, groups_claim: str) -> Mapping[str, Any]:
    """Return verified claims with what they lack from the issuer's userinfo (OpenID Connect Core 1.0, 5.3).

    An address and whether it is verified are of one source. Nothing else is taken: how somebody has signed in, and for
    whom, only the ID token says.

    Raises:
        ValueError: the userinfo is somebody else's (5.3.2).
    """
    if userinfo.get("sub") != claims["sub"]:
        raise ValueError("its userinfo is somebody else's")
    taken = [] if groups_claim in claims else [groups_claim]
    taken += [] if "email" in claims else ["email", "email_verified"]
    kept = {name: value for name, value in claims.items() if name not in taken}
    return kept | {name: userinfo[name] for name in taken if name in userinfo}


def lacks_claims(claims: Mapping[str, Any], *, groups_claim: str) -> bool:
    """Return whether an ID token leaves something to the issuer's userinfo."""
    return groups_claim not in claims or "email" not in claims


def name_from(email: str) -> str:
    """Return the name that an account gets which is made for this address."""
    return _NOT_IN_NAMES.sub("_", email)


def _grant_in(part: str) -> Grant:
    # A group may be called anything, also with "=" in it; a tenant or role may not.
    group, _, given = part.rpartition("=")
    tenant, _, role = given.partition(":")
    if not (group and tenant) or role not in Role.values:
        raise ValueError(f"{part!r} is not group=tenant:role with one of the roles {', '.join(Role.values)}")
    return Grant(group.strip(), tenant.strip().lower(), role)


def _audience_problem(audience: object, presenter: object, client_id: str) -> str | None:
    audiences = _texts(audience)
    if client_id not in audiences:
        return "it is for another application"
    if presenter is None:
        return "it is for several applications, and does not say which asked for it" if len(audiences) > 1 else None
    return None if presenter == client_id else "another application asked for it"


def _time_problem(claims: Mapping[str, Any], now: float) -> str | None:
    ends, made, begins = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not (_is_time(ends) and _is_time(made) and _is_time(begins)):
        return "it does not say when it was made and when it ends"
    if ends + LEEWAY_SECONDS <= now:
        return "it has expired"
    return "it is of the future" if max(made, begins) - LEEWAY_SECONDS > now else None


def _names_problem(claims: Mapping[str, Any]) -> str | None:
    given = [claims[name] for name in ("sub", "sid") if name in claims]
    if not given:
        return "it names neither a person nor a session"
    return None if all(_is_plain(each, 255) for each in given) else "it names nobody"


def _plain(value: object) -> str:
    return value if isinstance(value, str) and _is_plain(value, 255) else ""


def _is_time(value: object) -> TypeGuard[float]:
    # JSON as Python reads it also knows NaN and Infinity, which no comparison holds back.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_plain(value: object, length: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= length and value.isascii() and value.isprintable()


def _texts(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
