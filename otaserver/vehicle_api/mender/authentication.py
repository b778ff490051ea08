"""Asking to be let in: a signed request for a token, answered with 401 for as long as nobody has accepted the key."""

import json
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from otaserver import storable
from otaserver.fleet import operations as fleet
from otaserver.fleet.errors import CredentialInvalidError
from otaserver.vehicle_api import bodies, identity
from otaserver.vehicle_api.errors import BodyMalformedError, FieldsInvalidError
from otaserver.vehicle_api.mender import answers

SIGNATURE_HEADER = "X-MEN-Signature"
MAX_BYTES = 32 * 1024


@answers.endpoint("POST")
def auth_requests(request: HttpRequest, *, at: datetime) -> HttpResponseBase:
    # The signature is over the bytes as they came, with the line end after them.
    signed = bodies.read_body(request, MAX_BYTES)
    body = _parsed(signed)
    tenant = fleet.tenant_of_token(bodies.optional_member(body, "tenant_token", str) or "")
    wanted = fleet.AuthenticationRequest(
        identity=_identity(body),
        public_key=bodies.member(body, "pubkey", str),
        signature=request.headers.get(SIGNATURE_HEADER, ""),
        signed=signed,
    )
    token = fleet.authenticate(tenant, wanted, address=identity.client_address(request), at=at)
    if token is None:
        raise CredentialInvalidError("dev auth: unauthorized")
    response = HttpResponse(token, content_type="application/jwt")
    response["Cache-Control"] = "no-store"
    return response


def _identity(body: Any) -> dict[str, Any]:
    try:
        found = storable.parse(bodies.member(body, "id_data", str).encode(errors="replace"))
        storable.refuse_unstorable(found)
    except ValueError as error:
        raise FieldsInvalidError("id_data is no text that holds JSON.", field="id_data") from error
    if not isinstance(found, dict):
        raise FieldsInvalidError("id_data holds no JSON object.", field="id_data")
    return found


def _parsed(body: bytes) -> Any:
    try:
        found = storable.parse(body)
        storable.refuse_unstorable(found)
    except json.JSONDecodeError as error:
        raise BodyMalformedError(f"The body is not JSON: {error.msg}.") from error
    except ValueError as error:
        raise BodyMalformedError(f"The body is not JSON that can be read: {error}.") from error
    return found
