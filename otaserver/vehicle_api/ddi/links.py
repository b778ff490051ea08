"""The addresses in answers: as the request came in, or, behind a trusted proxy, as it was sent."""

import zlib
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.request import validate_host

from otaserver.campaigns.queries import PackageForEcus, VehicleOrder
from otaserver.vehicle_api import identity

_BELOW = "/controller/v1/"


class Links:
    """Addresses of one vehicle, with the tenant spelled as it was in the request."""

    def __init__(self, request: HttpRequest, tenant: str, controller: str) -> None:
        self._base = f"{_origin(request)}/{quote(tenant)}{_BELOW}{quote(controller, safe='')}"

    def to(self, *parts: object) -> dict[str, str]:
        """Return a link to what is below the vehicle's own address."""
        return {"href": "/".join([self._base, *(quote(str(part), safe="") for part in parts)])}

    def to_order(self, resource: str, order: VehicleOrder) -> dict[str, str]:
        """Return a link to an order that changes whenever what the vehicle may do with it does.

        hawkBit's own device kit reads the number between the last slash and the question mark.
        """
        return {"href": f"{self.to(resource, order.number)['href']}?c={_fingerprint(order)}"}

    def to_artifact(self, package: PackageForEcus, suffix: str = "") -> dict[str, str]:
        return self.to("softwaremodules", package.id, "artifacts", package.filename + suffix)


def _fingerprint(order: VehicleOrder) -> int:
    said = f"{order.attempt_id} {order.delivery} {order.is_urgent}".encode()
    return zlib.crc32(said) - 2**31


def _origin(request: HttpRequest) -> str:
    scheme, host = request.scheme or "http", request.get_host()
    if identity.is_from_trusted_proxy(request):
        scheme = request.headers.get("X-Forwarded-Proto", scheme).split(",")[0].strip()
        host = request.headers.get("X-Forwarded-Host", host).split(",")[0].strip()
        port = request.headers.get("X-Forwarded-Port", "").strip()
        if port.isdecimal() and ":" not in host and (scheme, port) not in (("http", "80"), ("https", "443")):
            host = f"{host}:{port}"
        if scheme not in ("http", "https") or not validate_host(
            host.rpartition(":")[0] or host, settings.ALLOWED_HOSTS
        ):
            raise DisallowedHost(f"The proxy forwards for {scheme}://{host}, which is not answered to.")
    return f"{scheme}://{host}"
