"""What aktualizr tells of its device beside its manifests: kept as the vehicle's own words, as much as fits."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from otaserver.fleet import operations as fleet
from otaserver.vehicle_api import bodies, identity, problems
from otaserver.vehicle_api.errors import FieldsInvalidError

# `lshw -json` of a large machine has some 100 KiB.
MAX_HARDWARE_BYTES = 1024 * 1024
MAX_BYTES = 256 * 1024
MAX_PACKAGES = 10_000
# What the inventory keeps of one attribute.
MAX_TEXT = 4096
# Of all the tree that lshw prints, what the device is.
_HARDWARE = ("id", "description", "product", "vendor", "version", "serial")
_NETWORK = ("hostname", "local_ipv4", "mac")


@problems.endpoint("PUT")
def hardware(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    found = bodies.read_json(request, MAX_HARDWARE_BYTES)
    # Some versions of lshw print a list of one.
    device = found[0] if isinstance(found, list) and found else found
    said = _members(device, _HARDWARE)
    fleet.record_inventory(vehicle, attributes={f"hardware_{name}": text for name, text in said.items()}, at=at)
    return JsonResponse({})


@problems.endpoint("PUT")
def network(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    said = _members(bodies.read_json(request, MAX_BYTES), _NETWORK)
    fleet.record_inventory(vehicle, attributes=said, at=at)
    return JsonResponse({})


@problems.endpoint("PUT")
def packages(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    found = bodies.read_list(request, MAX_HARDWARE_BYTES, MAX_PACKAGES)
    lines = (f"{bodies.text(one, 'name', 255)} {bodies.text(one, 'version', 255)}" for one in found)
    fleet.record_inventory(vehicle, attributes={"installed_packages": _kept("\n".join(lines))}, at=at)
    return JsonResponse({})


@problems.endpoint("POST")
def configuration(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    toml = bodies.read_body(request, MAX_BYTES).decode("utf-8", errors="replace")
    fleet.record_inventory(vehicle, attributes={"aktualizr_config": _kept(toml)}, at=at)
    return JsonResponse({})


def _members(device: Any, names: Iterable[str]) -> dict[str, str]:
    """Return those of the named members that are there; a device that lacks one says nothing of it."""
    if not isinstance(device, dict):
        raise FieldsInvalidError("The body is no object.", field="")
    return {name: _kept(bodies.member(device, name, str)) for name in names if name in device}


def _kept(text: str) -> str:
    # No database takes NUL; the rest of what is not to be read is of no use to anybody.
    return "".join(one if one.isprintable() or one in "\n\t" else " " for one in text[:MAX_TEXT])
