"""Becoming known: a certificate of one's own by a shared one, and the ECUs with their keys."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from otaserver.fleet import operations as fleet
from otaserver.fleet.errors import EcuSerialTakenError, ProvisioningRefusedError
from otaserver.fleet.states import Protocol
from otaserver.vehicle_api import bodies, identity, problems
from otaserver.vehicle_api.aktualizr.errors import DeviceAlreadyRegisteredError, EcuAlreadyRegisteredError
from otaserver.vehicle_api.errors import FieldsInvalidError

MAX_DEVICE_BYTES = 4 * 1024
MAX_ECUS_BYTES = 256 * 1024
# aktualizr asks for 36,000 if nobody tells it otherwise; the fleet CA ends sooner.
MAX_DAYS = 36_500
# Its spelling of keys; the scheme goes without saying.
_KEYS = {"ED25519": ("ed25519", "ed25519"), "RSA": ("rsa", "rsassa-pss-sha256")}


@problems.endpoint("POST")
def devices(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    owner = identity.find_tenant(tenant)
    shown = identity.certificate_of(request)
    provisioner = fleet.identify_provisioner(owner, serial=shown.serial, common_name=shown.common_name, at=at)
    body = bodies.read_json(request, MAX_DEVICE_BYTES)
    lifetime = timedelta(days=_days(bodies.text(body, "ttl", 10)))
    try:
        given = fleet.provision(provisioner, bodies.text(body, "deviceId", 255), lifetime=lifetime, at=at)
    except ProvisioningRefusedError as refusal:
        raise DeviceAlreadyRegisteredError(refusal.message, **refusal.details) from refusal
    return HttpResponse(given.pkcs12, content_type="application/x-pkcs12", headers={"Cache-Control": "no-store"})


@problems.endpoint("POST")
def ecus(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    body = bodies.read_json(request, MAX_ECUS_BYTES)
    primary = bodies.text(body, "primary_ecu_serial", 255)
    declared = tuple(_ecu(found, primary) for found in bodies.member(body, "ecus", list))
    try:
        registration = fleet.register_ecus(vehicle, declared, protocol=Protocol.AKTUALIZR, at=at)
    except EcuSerialTakenError as refusal:
        raise EcuAlreadyRegisteredError(refusal.message, **refusal.details) from refusal
    return JsonResponse({}, status=201 if registration.is_first else 200)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise FieldsInvalidError(f"ttl is {text!r}, not a number of days, as text.", field="ttl")
    return min(int(text), MAX_DAYS)


def _ecu(found: Any, primary: str) -> fleet.EcuDeclaration:
    serial = bodies.text(found, "ecu_serial", 255)
    return fleet.EcuDeclaration(
        serial=serial,
        hardware_id=bodies.text(found, "hardware_identifier", 255),
        is_primary=serial == primary,
        public_key=_public_key(bodies.member(found, "clientKey", dict)),
    )


def _public_key(key: dict[str, Any]) -> dict[str, Any]:
    kind = bodies.text(key, "keytype", 20).upper()
    public = bodies.text(bodies.member(key, "keyval", dict), "public", 4096)
    if kind not in _KEYS:
        raise FieldsInvalidError(f"A key is of type {' or '.join(_KEYS)}, not {kind!r}.", field="keytype")
    keytype, scheme = _KEYS[kind]
    # One spelling, so that two of one key cannot pass for two.
    spelt = public.lower() if kind == "ED25519" else public.rstrip("\n") + "\n"
    return {"keytype": keytype, "scheme": scheme, "keyval": {"public": spelt}}
