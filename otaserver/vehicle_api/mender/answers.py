"""What all of Mender's addresses have in common: who calls, and how it is told that something is refused."""

import functools
import uuid
from datetime import datetime

from django.http import HttpRequest, HttpResponse, JsonResponse

from otaserver.errors import OtaError
from otaserver.fleet import operations as fleet
from otaserver.fleet.errors import CredentialInvalidError
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api import identity, problems


def refused(error: OtaError) -> HttpResponse:
    """Return a refusal as Mender's clients log it; they act on the status alone."""
    body = {"error": error.message, "code": error.code, "request_id": str(uuid.uuid4())}
    # 422 is unknown there: what breaks a rule is a bad request.
    status = 400 if error.status == 422 else error.status
    response = JsonResponse(body, status=status)
    response["Cache-Control"] = "no-store"
    if "retry_after_seconds" in error.details:
        response["Retry-After"] = str(error.details["retry_after_seconds"])
    if "allow" in error.details:
        response["Allow"] = ", ".join(error.details["allow"])
    return response


endpoint = functools.partial(problems.endpoint, refusal=refused)


def caller(request: HttpRequest, *, at: datetime) -> Vehicle:
    """Return the vehicle whose session token the request carries.

    Raises:
        CredentialInvalidError: none, or one that is not good: the client asks to be let in again.
    """
    token = identity.bearer_token(request)
    if token is None:
        raise CredentialInvalidError("Send the token of an authentication request: Authorization: Bearer …")
    look_up = functools.partial(fleet.identify_session, token, at=at)
    return identity.recognise(request, "session", token, look_up=look_up, at=at)
