from uuid import uuid4

import pytest
from django.test import Client

from otaserver.campaigns.models import ConsentRecord
from tests.campaigns.campaign_factories import attempt_of, in_turn, make_running
from tests.vehicle_api.conftest import Caller, give_token

pytestmark = pytest.mark.any_database

DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def answer(attempt, **changes):
    values = {
        "id": str(uuid4()),
        "attempt": str(attempt),
        "decision": "yes",
        "by": "Erika",
        "language": "de",
        "text_sha256": DIGEST,
        "device_time": "2026-06-01T12:00:00Z",
    }
    return values | changes


@pytest.fixture
def asked(server_clock, db):
    (assignment,) = in_turn(make_running(vehicles=1, consent="ask"))
    return attempt_of(assignment)


def test_an_owners_answer_is_taken_once_and_a_bad_one_costs_no_other(asked):
    caller = Caller(Client(), asked.vehicle.tenant.name, give_token(asked.vehicle, "otav_asked"))
    good = answer(asked.pk)
    bad = [answer(uuid4()), answer(asked.pk, decision="perhaps"), answer(asked.pk, by=""), 7]
    bad += [answer(asked.pk, text_sha256="0"), answer(asked.pk, device_time="yesterday"), answer(asked.pk, id="7")]

    body = caller.post("consents", [good, *bad, good]).json()

    assert body["accepted"] == 2
    assert [(each["id"], each["code"]) for each in body["rejected"]] == [
        (bad[0]["id"], "attempt.not_found"),
        (bad[1]["id"], "consent.refused"),
        (bad[2]["id"], "consent.refused"),
        (None, "request.fields_invalid"),
        (bad[4]["id"], "consent.refused"),
        (bad[5]["id"], "request.fields_invalid"),
        ("7", "request.fields_invalid"),
    ]
    record = ConsentRecord.objects.get()
    assert (record.decision, record.by, record.attempt_id, record.is_text_known) == ("yes", "Erika", asked.pk, True)


def test_another_vehicle_cannot_answer(asked, caller):
    body = caller.post("consents", [answer(asked.pk)]).json()

    assert (body["accepted"], body["rejected"][0]["code"]) == (0, "attempt.not_found")
    assert not ConsentRecord.objects.exists()
