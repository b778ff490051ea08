"""What is said to an issuer of OpenID Connect, and how what it says is verified.

The authorization code flow with PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9700). Nothing that the person's
browser brings is believed but the code, which only the issuer can turn into an ID token.
"""

import base64
import functools
import hashlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import jwt
from django.conf import settings
from django.core.cache import cache

from otaserver.people.errors import (
    IssuerRefusedError,
    IssuerUnavailableError,
    LogoutRefusedError,
    StatementInvalidError,
)
from otaserver.people.sign_on_rules import (
    LogoutNotice,
    Statement,
    claims_problem,
    completed,
    is_safe_address,
    lacks_claims,
    logout_of,
    logout_problem,
    statement_of,
)

# How long the issuer's addresses and keys are kept; a key that is not among them is asked for at once.
_KEPT_SECONDS = 3600
_TIMEOUT_SECONDS = 10
# Servers take addresses of 8,000 characters, and not all of them longer ones.
_MAX_HINT = 6000
# By its algorithm, what a key has to be. Anything else is refused: "none", and what is signed with a shared secret.
_KEY_KINDS: Mapping[str, Mapping[str, str]] = {"RS256": {"kty": "RSA"}, "ES256": {"kty": "EC", "crv": "P-256"}}


@dataclass(frozen=True)
class Issuer:
    """Where the issuer answers what, as its own document says (OpenID Connect Discovery 1.0)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str
    userinfo_endpoint: str
    takes_basic: bool


@dataclass(frozen=True)
class Redeemed:
    """What the issuer gives for a code: who somebody is, not verified yet, and what opens its userinfo."""

    id_token: str
    access_token: str


def issuer() -> Issuer:
    """Return the configured issuer, as it described itself within the last hour.

    Raises:
        IssuerUnavailableError: it does not answer, or describes another one.
    """
    url = settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration"
    found = _kept(url)
    if found.get("issuer") != settings.OIDC_ISSUER:
        raise IssuerUnavailableError(f"{url} describes the issuer {found.get('issuer')!r}.")
    # RFC 8414: what it takes where it does not say.
    methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Issuer(
        authorization_endpoint=_address(found, "authorization_endpoint"),
        token_endpoint=_address(found, "token_endpoint"),
        jwks_uri=_address(found, "jwks_uri"),
        end_session_endpoint=_address(found, "end_session_endpoint", is_needed=False),
        userinfo_endpoint=_address(found, "userinfo_endpoint", is_needed=False),
        takes_basic="client_secret_basic" in methods,
    )


def authorization_url(to: Issuer, *, state: str, nonce: str, verifier: str, redirect_uri: str) -> str:
    """Return where the person goes to say to the issuer who they are."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": settings.OIDC_CLIENT_ID,
        "scope": settings.OIDC_SCOPES,
        "redirect_uri": redirect_uri,
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return _with_query(to.authorization_endpoint, asked)


def end_session_url(to: Issuer, *, id_token: str, back_to: str) -> str:
    """Return where the person ends their session at the issuer (RP-Initiated Logout 1.0), or "" if it has no such.

    The ID token says whose session that is, so that the issuer need not ask; one too long for an address is left out.
    """
    asked = {"client_id": settings.OIDC_CLIENT_ID, "post_logout_redirect_uri": back_to}
    if len(id_token) <= _MAX_HINT:
        asked["id_token_hint"] = id_token
    return _with_query(to.end_session_endpoint, asked) if to.end_session_endpoint else ""


def redeem(of: Issuer, code: str, *, verifier: str, redirect_uri: str) -> Redeemed:
    """Turn the code that the browser brought into an ID token, not verified yet.

    Raises:
        IssuerRefusedError: the code is used, too old, or not ours.
        IssuerUnavailableError: it does not answer, or without a token.
    """
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    answer = _ask("POST", of.token_endpoint, data=form | _in_form(of), auth=_in_header(of))
    if answer.is_client_error:
        raise IssuerRefusedError("The issuer does not take the code that it gave you; sign in again.")
    found = _document(answer)
    token, access = found.get("id_token"), found.get("access_token")
    if not isinstance(token, str):
        raise IssuerUnavailableError(f"{of.token_endpoint} answers without an ID token.")
    return Redeemed(token, access if isinstance(access, str) else "")


def verified(redeemed: Redeemed, *, of: Issuer, nonce: str, at: datetime) -> Statement:
    """Return what an ID token states, after its signature and everything that it has to say were checked.

    Groups and an address that are not in it are asked for at the issuer's userinfo, where it has one.

    Raises:
        StatementInvalidError: the sentence says what is wrong.
        IssuerUnavailableError: its keys or its userinfo cannot be read; without them nobody's roles are touched.
    """
    try:
        claims = _signed(redeemed.id_token, of, require=["iss", "sub", "aud", "exp", "iat"])
    except jwt.PyJWTError as error:
        raise StatementInvalidError(f"What the issuer states is not valid: {error}.") from error
    problem = claims_problem(claims, client_id=settings.OIDC_CLIENT_ID, nonce=nonce, at=at)
    if problem:
        raise StatementInvalidError(f"What the issuer states is not valid: {problem}.")
    told = _with_userinfo(claims, redeemed.access_token, of)
    return statement_of(told, issuer=settings.OIDC_ISSUER, groups_claim=settings.OIDC_GROUPS_CLAIM)


def logout_notice(token: str, *, of: Issuer, at: datetime) -> LogoutNotice:
    """Return what a logout token says, after its signature and everything that it has to say were checked.

    Raises:
        LogoutRefusedError: the sentence says what is wrong.
        IssuerUnavailableError: its keys cannot be read.
    """
    try:
        # What a token is may stand in its header, and then it must be this; many issuers do not say.
        kind = str(jwt.get_unverified_header(token).get("typ") or "JWT").lower().removeprefix("application/")
        if kind not in ("jwt", "logout+jwt"):
            raise jwt.InvalidTokenError(f"it is a token of the type {kind!r}")
        claims = _signed(token, of, require=["iss", "aud", "exp", "iat", "jti", "events"])
    except jwt.PyJWTError as error:
        raise LogoutRefusedError(f"The logout is not valid: {error}.") from error
    problem = logout_problem(claims, client_id=settings.OIDC_CLIENT_ID, at=at)
    if problem:
        raise LogoutRefusedError(f"The logout is not valid: {problem}.")
    return logout_of(claims, issuer=settings.OIDC_ISSUER)


def _signed(token: str, of: Issuer, *, require: Sequence[str]) -> Mapping[str, Any]:
    header = jwt.get_unverified_header(token)
    claims: Mapping[str, Any] = jwt.decode(
        token,
        _key_for(header, of),
        algorithms=[header["alg"]],
        issuer=settings.OIDC_ISSUER,
        audience=settings.OIDC_CLIENT_ID,
        # Times are checked beside the other claims, on the server's own clock.
        options={
            "require": list(require),
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "enforce_minimum_key_length": True,
        },
    )
    return claims


def _with_userinfo(claims: Mapping[str, Any], access_token: str, of: Issuer) -> Mapping[str, Any]:
    is_told = bool(of.userinfo_endpoint and access_token)
    if not is_told or not lacks_claims(claims, groups_claim=settings.OIDC_GROUPS_CLAIM):
        return claims
    userinfo = _document(_ask("GET", of.userinfo_endpoint, bearer=access_token))
    try:
        return completed(claims, userinfo, groups_claim=settings.OIDC_GROUPS_CLAIM)
    except ValueError as error:
        raise StatementInvalidError(f"What the issuer states is not valid: {error}.") from error


def _key_for(header: Mapping[str, Any], of: Issuer) -> jwt.PyJWK:
    algorithm = header.get("alg", "")
    if algorithm not in _KEY_KINDS:
        raise jwt.InvalidAlgorithmError(f"it is signed by {algorithm!r}, not by {' or '.join(_KEY_KINDS)}")
    # An issuer that has changed its keys since they were read: once.
    for is_fresh in (False, True):
        keys = _kept(of.jwks_uri, is_fresh=is_fresh).get("keys")
        fitting = _fitting(keys, algorithm, header.get("kid"))
        if len(fitting) == 1:
            return jwt.PyJWK(fitting[0], algorithm=algorithm)
    raise jwt.InvalidKeyError(f"the issuer has no key {header.get('kid')!r} for {algorithm}")


def _fitting(keys: object, algorithm: str, key_id: object) -> Sequence[dict[str, Any]]:
    """Return the keys that may have signed: with the id that the token names, or of any id if it names none."""
    wanted = dict(_KEY_KINDS[algorithm]) | ({} if key_id is None else {"kid": key_id})
    return [
        key
        for key in (keys if isinstance(keys, list) else [])
        if isinstance(key, dict)
        and wanted.items() <= key.items()
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
    ]


def _in_header(of: Issuer) -> httpx.BasicAuth | None:
    # RFC 6749, 2.3.1: both are encoded as in a form first.
    name, secret = quote(settings.OIDC_CLIENT_ID, safe=""), quote(settings.OIDC_CLIENT_SECRET, safe="")
    return httpx.BasicAuth(name, secret) if of.takes_basic else None


def _in_form(of: Issuer) -> dict[str, str]:
    both = {"client_id": settings.OIDC_CLIENT_ID, "client_secret": settings.OIDC_CLIENT_SECRET}
    return {} if of.takes_basic else both


def _kept(url: str, *, is_fresh: bool = False) -> Mapping[str, Any]:
    name = "openid-" + hashlib.sha256(url.encode()).hexdigest()
    found: Mapping[str, Any] | None = None if is_fresh else cache.get(name)
    if found is None:
        found = _document(_ask("GET", url))
        cache.set(name, found, _KEPT_SECONDS)
    return found


@functools.cache
def _tls() -> ssl.SSLContext:
    # Made once: reading all authorities takes longer than the rest of a request.
    return httpx.create_ssl_context()


def _ask(method: str, url: str, *, bearer: str = "", **more: Any) -> httpx.Response:
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    try:
        return httpx.request(method, url, timeout=_TIMEOUT_SECONDS, headers=headers, verify=_tls(), **more)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise IssuerUnavailableError(f"{url} does not answer.") from error


def _document(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = answer.json() if answer.status_code == 200 else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise IssuerUnavailableError(f"{answer.url} answers {answer.status_code} and no document.")
    return found


def _address(found: Mapping[str, Any], name: str, *, is_needed: bool = True) -> str:
    url = found.get(name, "")
    if isinstance(url, str) and (is_safe_address(url) or not (url or is_needed)):
        return url
    raise IssuerUnavailableError(f"The issuer's {name} is no address that may be trusted: {url!r}.")


def _with_query(url: str, asked: Mapping[str, str]) -> str:
    return url + ("&" if "?" in url else "?") + urlencode(asked)
