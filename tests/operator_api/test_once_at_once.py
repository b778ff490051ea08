"""One idempotency key from several threads at once: one does what it asks for."""

from collections import Counter

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.models import Group
from otaserver.tenants.answer_models import KeptAnswer

THREADS = 8
KEY = {"Idempotency-Key": "one for all"}


@pytest.fixture
def sent(at_once, caller):
    """Send one request in several threads, and return the status, code and body of each answer."""

    def send(*arguments, **headers):
        answers = at_once(*[lambda: caller(*arguments, **KEY, **headers)] * THREADS)
        assert [answer for answer in answers if isinstance(answer, Exception)] == []
        return answers

    return send


def told(answers, status):
    """That each answer is the one, or says that the one is under way."""
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {status, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency.in_flight"}
    done = [answer for answer in answers if answer.status_code == status]
    assert len({answer.content for answer in done}) == 1
    assert [answer.has_header("Idempotency-Replayed") for answer in done].count(False) == 1


def test_one_thread_makes_it_and_the_others_get_its_answer_or_wait(sent, caller):
    answers = sent("POST", "/groups", {"name": "north"})
    after = caller.post("/groups", {"name": "north"}, **KEY)

    told(answers, 201)
    assert (after.status_code, after["Idempotency-Replayed"]) == (201, "true")
    assert (Group.objects.count(), KeptAnswer.objects.count()) == (1, 1)
    assert Entry.objects.filter(action="group.created").count() == Entry.objects.count() == 1


def test_a_refusal_is_told_to_all(sent):
    told(sent("POST", "/groups", {"name": ""}), 422)

    assert not Group.objects.exists()


def test_one_thread_takes_a_file_in(sent):
    told(sent("POST", "/imports?kind=csv", b"vehicle_id\nVIN1\n", content_type="application/octet-stream"), 201)

    assert FleetImport.objects.count() == 1
