"""An order in Mender's words: what to install, from where, and the map that holds it at the install gate."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from firmware_store import signed_urls
from otaserver.campaigns.queries import InstallGate, VehicleOrder

_GATE = "ArtifactInstall_Enter"
# A client cannot ask for another address while it downloads, and goes on with one for hours after each cut.
_ADDRESS_SECONDS = 24 * 3600
# Nobody who has lost the server installs by what it said before.
_SHUT = {"action": "pause", "on_action_executed": "pause", "on_map_expire": "fail"}
_OPEN = {"action": "continue", "on_action_executed": "continue", "on_map_expire": "fail"}


def instructions(request: HttpRequest, order: VehicleOrder, *, reads_maps: bool, at: datetime) -> dict[str, Any]:
    """Return what `deployments/next` answers. The gate is shut in it: the client asks again when it stands there."""
    package = order.packages[0]
    expires = at + timedelta(seconds=max(settings.DOWNLOAD_URL_SECONDS, _ADDRESS_SECONDS))
    answer: dict[str, Any] = {
        "id": str(order.attempt_id),
        "artifact": {
            "artifact_name": order.packages[0].artifact,
            "device_types_compatible": sorted({hardware_id for _, hardware_id in package.ecus}),
            "source": {
                "uri": _address(request, package.sha256, expires),
                "expire": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
        },
    }
    if reads_maps:
        answer["update_control_map"] = _map(order, _SHUT)
    return answer


def control_map(order: VehicleOrder, gate: InstallGate) -> dict[str, Any]:
    """Return the map of an order that was not withdrawn, as the gate stands now."""
    return {"update_control_map": _map(order, _OPEN if gate.is_open else _SHUT)}


def _map(order: VehicleOrder, action: dict[str, str]) -> dict[str, Any]:
    return {"id": str(order.attempt_id), "priority": 0, "states": {_GATE: action}}


def _address(request: HttpRequest, sha256: str, expires: datetime) -> str:
    # The client sends no credential with the download: the address is one, and ends.
    query = signed_urls.sign(sha256, expires=int(expires.timestamp()), secret=settings.URL_SECRET)
    path = f"/downloads/{sha256}?{query}"
    base = settings.DOWNLOAD_URL.rstrip("/")
    return base + path if base else request.build_absolute_uri(path)
