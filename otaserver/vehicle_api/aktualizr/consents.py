"""Questions to the owner (`campaign_check`), asked before anything is ordered, since the client cannot wait."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.campaigns import queries as campaign_queries
from otaserver.campaigns.states import ConsentDecision
from otaserver.fleet.models import Vehicle
from otaserver.vehicle_api import bodies, identity, problems
from otaserver.vehicle_api.errors import FieldsInvalidError

DECISIONS: Mapping[str, str] = {
    "campaign_accepted": ConsentDecision.YES,
    "campaign_declined": ConsentDecision.NO,
    "campaign_postponed": ConsentDecision.POSTPONE,
}


@problems.endpoint("GET", "HEAD")
def questions(request: HttpRequest, *, tenant: str, at: datetime) -> HttpResponseBase:
    vehicle = identity.identify_at(request, tenant, at=at)
    return JsonResponse({"campaigns": [_question(one) for one in campaign_queries.awaited_consents(vehicle)]})


def record_answer(vehicle: Vehicle, event: Any, kind: str, *, at: datetime) -> None:
    """Take the owner's answer out of an event.

    Raises:
        OtaError: it is none, or nobody asked.
    """
    asked = bodies.text(bodies.member(event, "event", dict), "campaignId", 18)
    if not asked.isascii() or not asked.isdecimal():
        raise FieldsInvalidError("campaignId is none that this server has given out.", field="campaignId")
    campaigns.record_early_consent(
        vehicle,
        assignment_id=int(asked),
        decision=DECISIONS[kind],
        record_id=str(bodies.uuid(event, "id")),
        device_time=bodies.moment(event, "deviceTime"),
        at=at,
    )


def _question(one: campaign_queries.AwaitedConsent) -> dict[str, Any]:
    described = [{"type": "DESCRIPTION", "value": one.text}] if one.text else []
    return {
        "id": str(one.assignment_id),
        "name": one.campaign,
        "size": one.length,
        "autoAccept": False,
        "metadata": described,
    }
