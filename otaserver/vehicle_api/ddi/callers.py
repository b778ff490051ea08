"""Who is calling: a target token, a gateway token, or a vehicle that a trusted proxy vouches for; the first that is
good counts."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from django.http import HttpRequest

from otaserver.fleet import operations as fleet
from otaserver.fleet import queries
from otaserver.fleet.errors import CredentialInvalidError, VehicleIdRefusedError
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.states import Protocol
from otaserver.tenants.models import Tenant
from otaserver.vehicle_api import identity
from otaserver.vehicle_api.recognised import Found

MAX_CONTROLLER_ID = 256
_TARGET, _GATEWAY = "TargetToken ", "GatewayToken "
# hawkBit since 1.0, and before: the vehicle's name, and who vouches for it.
_NAME_HEADERS = {"X-Controller-Id": "X-Authority", "X-Ssl-Client-Cn": "X-Ssl-Issuer-Hash"}
_MAX_NUMBERED = 10


def identify(
    request: HttpRequest, tenant: str, controller: str, *, at: datetime, is_new_welcome: bool = False
) -> Vehicle:
    """Return the DDI vehicle that is calling.

    `is_new_welcome`: where a gateway or a proxy vouches for a vehicle that nobody knows, it becomes known; and so does
    one that was expected, with its own token.

    Raises:
        CredentialInvalidError, TenantNotFoundError: no credential, or none that is good here.
        VehicleNotFoundError, VehicleOtherProtocolError: the tenant has no DDI vehicle of that id.
        VehicleIdRefusedError: no vehicle can have that id.
    """
    header = request.headers.get("Authorization", "")
    # Case counts, and exactly one space, as in hawkBit.
    if header.startswith(_TARGET):
        token = header.removeprefix(_TARGET)
        by_token = partial(_with_token, tenant, controller, token, is_new_welcome=is_new_welcome, at=at)
        return identity.recognise(request, "target token", tenant.lower(), controller, token, look_up=by_token, at=at)
    vouched_for = partial(_vouched_for, request, tenant, controller, is_new_welcome=is_new_welcome, at=at)
    shown = (tenant.lower(), controller, header, *_vouching(request))
    return identity.recognise(request, "vouched for", *shown, look_up=vouched_for, at=at)


def is_told_of(request: HttpRequest, vehicle: Vehicle) -> bool:
    """Return whether it is told as the vehicle's own when what this request shows is no longer good.

    A certificate of another vehicle may be shown, by a gateway for instance, and is revoked as that one's.
    """
    serial = request.headers.get(identity.SERIAL_HEADER, "")
    return not serial or not queries.is_certificate_of_another(vehicle, serial)


def _with_token(tenant: str, controller: str, token: str, *, is_new_welcome: bool, at: datetime) -> Credential | Found:
    """Return the vehicle whose token this is, with its tenant: in one read."""
    try:
        found = fleet.identify_pre_shared(tenant.lower(), controller, token, at=at)
    except CredentialInvalidError:
        identity.find_tenant(tenant)
        raise
    vehicle = found.vehicle
    if vehicle.enrolled_at is not None and vehicle.protocol == Protocol.DDI:
        return found
    return Found(_known(vehicle.tenant, controller, is_new_welcome=is_new_welcome, at=at), found.expires_at)


def _vouched_for(request: HttpRequest, tenant: str, controller: str, *, is_new_welcome: bool, at: datetime) -> Found:
    """Return the vehicle that a gateway or a proxy vouches for."""
    owner = identity.find_tenant(tenant)
    _authenticate(request, owner, controller)
    vehicle = _known(owner, controller, is_new_welcome=is_new_welcome, at=at)
    return Found(vehicle, fleet.NEVER if is_told_of(request, vehicle) else at)


def _vouching(request: HttpRequest) -> Iterator[str]:
    """Return all that a proxy's word for a vehicle goes by, and whether it is one."""
    yield str(identity.is_from_trusted_proxy(request))
    yield request.headers.get(identity.SERIAL_HEADER, "")
    for names in _NAME_HEADERS.items():
        yield from (request.headers.get(name, "") for name in names)
        yield from (request.headers.get(f"{names[1]}-{number}", "") for number in range(_MAX_NUMBERED))


def _known(tenant: Tenant, controller: str, *, is_new_welcome: bool, at: datetime) -> Vehicle:
    if len(controller) > MAX_CONTROLLER_ID:
        raise VehicleIdRefusedError(f"A controller id has at most {MAX_CONTROLLER_ID} characters.")
    if is_new_welcome:
        return fleet.register_controller(tenant, controller, at=at)
    return queries.vehicle_of_protocol(tenant, controller, Protocol.DDI)


def _authenticate(request: HttpRequest, tenant: Tenant, controller: str) -> None:
    header = request.headers.get("Authorization", "")
    if header.startswith(_GATEWAY):
        fleet.check_gateway_token(tenant, header.removeprefix(_GATEWAY))
    elif not _is_vouched_for(request, tenant, controller):
        raise CredentialInvalidError("Send the vehicle's token: Authorization: TargetToken …")


def _is_vouched_for(request: HttpRequest, tenant: Tenant, controller: str) -> bool:
    # From anybody else these headers could be anybody's.
    if not identity.is_from_trusted_proxy(request):
        return False
    # Of another CA's certificates the proxy knows whether they are revoked; of this server's own, it alone.
    serial = request.headers.get(identity.SERIAL_HEADER, "")
    if serial and queries.is_certificate_revoked(tenant, serial):
        return False
    trusted = {name.lower() for name in queries.ddi_settings(tenant).authorities}
    return any(
        request.headers.get(name_header) == controller and trusted & set(_authorities(request, authority_header))
        for name_header, authority_header in _NAME_HEADERS.items()
    )


def _authorities(request: HttpRequest, header: str) -> Iterator[str]:
    for name in (header, *(f"{header}-{number}" for number in range(_MAX_NUMBERED))):
        for authority in request.headers.get(name, "").split(","):
            yield authority.strip().lower()
