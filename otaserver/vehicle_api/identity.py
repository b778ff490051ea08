"""Who is calling: a bearer token, or a client certificate that a trusted proxy has verified.

The proxy (`settings.TRUSTED_PROXIES`, addresses or networks) must set all three headers on every request, so that none
of a client's own gets through. For nginx:

    proxy_set_header X-Client-Verify  $ssl_client_verify;
    proxy_set_header X-Client-Serial  $ssl_client_serial;
    proxy_set_header X-Client-Subject $ssl_client_s_dn;

From any other address these headers mean nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.http import HttpRequest

from otaserver import bearer, proxies
from otaserver.fleet import operations as fleet
from otaserver.fleet.errors import CredentialInvalidError
from otaserver.fleet.models import Credential, Vehicle
from otaserver.tenants.models import Tenant
from otaserver.vehicle_api.errors import TenantNotFoundError
from otaserver.vehicle_api.recognised import Found, Recognised, key_of

VERIFY_HEADER = "X-Client-Verify"
SERIAL_HEADER = "X-Client-Serial"
SUBJECT_HEADER = "X-Client-Subject"
client_address = proxies.client_address
is_from_trusted_proxy = proxies.is_from_trusted_proxy
# Where the poll front says whom it has recognised.
RECOGNISED = "otaserver.recognised"
_NOTED, _HAD_CALLED, _KEY = "otaserver.vehicle", "otaserver.had_called", "otaserver.recognised_by"
# One attribute of a distinguished name as RFC 2253 writes it: punctuation is escaped, hex escapes are not ASCII.
_ATTRIBUTE = re.compile(r'([A-Za-z0-9.]+)=((?:[^,+"\\<>;]|\\[,+"\\<>;=# ])*)(,|\Z)')


@dataclass(frozen=True)
class ShownCertificate:
    """What a proxy says of a certificate that it has verified: the serial number in hex, and the common name."""

    serial: str
    common_name: str


@dataclass(frozen=True)
class Shown:
    """What a request shows to prove who it is: in words, and what a look-up goes by."""

    sentence: str
    token: str = ""
    serial: str = ""


def note(request: HttpRequest, vehicle: Vehicle) -> Vehicle:
    """Note on the request whose it is, for what is done after the answer; return the vehicle."""
    request.META[_NOTED] = vehicle
    request.META[_HAD_CALLED] = vehicle.last_contact_at is not None
    return vehicle


def recognise(request: HttpRequest, *shown: str, look_up: Callable[[], Credential | Found], at: datetime) -> Vehicle:
    """Return the vehicle that shows this, and note that it is calling; it is looked up unless it was a moment ago.

    `shown` is all that the look-up goes by, and in what sense.
    """

    def found() -> Found:
        one = look_up()
        return Found(one.vehicle, one.expires_at) if isinstance(one, Credential) else one

    recognised: Recognised | None = request.META.get(RECOGNISED)
    if recognised is None:
        return note(request, found().vehicle)
    key = request.META[_KEY] = key_of(*shown)
    return note(request, recognised.find(key, found, at=at))


def note_contact(request: HttpRequest) -> None:
    """Let it be known, once a request is answered, whether the contact was recorded."""
    vehicle, key = noted(request), request.META.get(_KEY)
    if vehicle is not None and key is not None:
        request.META[RECOGNISED].note_contact(key, vehicle)


def noted(request: HttpRequest) -> Vehicle | None:
    """Return the vehicle that was found to be calling, if any was."""
    found: Vehicle | None = request.META.get(_NOTED)
    return found


def had_called(request: HttpRequest) -> bool:
    """Return whether the vehicle that is calling had called before, when it was looked up."""
    return bool(request.META.get(_HAD_CALLED))


def shown(request: HttpRequest) -> Shown:
    """Return what the request shows, without a secret in its sentence."""
    header, token = request.headers.get("Authorization", ""), bearer_token(request)
    if token is not None:
        return Shown(f"a token that begins with {token[:8]}", token=token)
    if header:
        return Shown(f"Authorization: {header.partition(' ')[0][:20]} …")
    verified = request.headers.get(VERIFY_HEADER, "")
    if verified in ("", "NONE"):
        return Shown("nothing")
    if not is_from_trusted_proxy(request):
        return Shown("headers about a certificate, from an address that is no trusted proxy")
    serial, subject = request.headers.get(SERIAL_HEADER, ""), request.headers.get(SUBJECT_HEADER, "")
    return Shown(f"a certificate: {verified}, {subject[:150]}, serial {serial[:64]}", serial=serial)


def bearer_token(request: HttpRequest) -> str | None:
    """Return the bearer token that the request carries, or None: it carries none that could be one."""
    return bearer.bearer_token(request.headers.get("Authorization", ""))


def find_tenant(name: str) -> Tenant:
    """Return the tenant of an address; names compare without case.

    Raises:
        TenantNotFoundError: there is none.
    """
    found = Tenant.objects.filter(name=name.lower()).first()
    if found is None:
        raise no_tenant(name)
    return found


def no_tenant(name: str) -> TenantNotFoundError:
    return TenantNotFoundError(f"There is no tenant {name!r}.", tenant=name)


def identify_at(request: HttpRequest, tenant: str, *, at: datetime) -> Vehicle:
    """Return the vehicle of the tenant of this name that is calling: tenant, vehicle and credential in one read.

    Raises:
        TenantNotFoundError: there is no such tenant, whatever is shown to it. CredentialInvalidError: as `identify`.
    """
    try:
        return identify(request, tenant.lower(), at=at)
    except CredentialInvalidError:
        find_tenant(tenant)
        raise


def identify(request: HttpRequest, tenant: Tenant | str, *, at: datetime) -> Vehicle:
    """Return the vehicle of this tenant (or of that of this name) that is calling.

    A token counts before a certificate: behind a proxy that asks for certificates, both may come.

    Raises:
        CredentialInvalidError: no credential, or none that is good here.
    """
    name = tenant if isinstance(tenant, str) else tenant.name
    token = bearer_token(request)
    if token is not None:
        by_token = partial(fleet.identify_token, tenant, token, at=at)
        return recognise(request, "token", name, token, look_up=by_token, at=at)
    shown = certificate_of(request)
    names = {"serial": shown.serial, "common_name": shown.common_name}
    by_certificate = partial(fleet.identify_certificate, tenant, **names, at=at)
    return recognise(request, "certificate", name, *names.values(), look_up=by_certificate, at=at)


def certificate_of(request: HttpRequest) -> ShownCertificate:
    """Return the client certificate that a trusted proxy has verified for this request.

    Raises:
        CredentialInvalidError: there is none, or its subject is odd.
    """
    if not is_from_trusted_proxy(request) or request.headers.get(VERIFY_HEADER) != "SUCCESS":
        raise CredentialInvalidError("Send the vehicle's token: Authorization: Bearer …")
    name = common_name(request.headers.get(SUBJECT_HEADER, ""))
    if name is None:
        raise CredentialInvalidError("The certificate's subject has no single, plain common name.")
    return ShownCertificate(request.headers.get(SERIAL_HEADER, ""), name)


def identify_to_renew(request: HttpRequest, tenant: Tenant, *, at: datetime) -> Vehicle:
    """Return the vehicle that is calling for new credentials: its token may have ended a while ago.

    Raises:
        CredentialInvalidError: as `identify`.
    """
    token = bearer_token(request)
    if token is not None:
        return note(request, fleet.identify_to_renew(tenant, token, at=at))
    return identify(request, tenant, at=at)


def common_name(subject: str) -> str | None:
    """Return the common name in a distinguished name (RFC 2253); None if there is not exactly one, or it is odd."""
    names, position = [], 0
    while position < len(subject):
        found = _ATTRIBUTE.match(subject, position)
        if found is None:
            return None
        if found[1].upper() == "CN":
            names.append(re.sub(r"\\(.)", r"\1", found[2]))
        position = found.end()
    return names[0] if len(names) == 1 and names[0].isascii() and names[0].isprintable() else None
