import hashlib
from uuid import uuid4

import pytest

from firmware_store.models import Release
from otaserver.audit.models import Entry
from otaserver.campaigns import operations
from otaserver.campaigns.errors import AttemptNotFoundError, ConsentRefusedError
from otaserver.campaigns.models import Assignment, ConsentRecord
from otaserver.campaigns.operations import ConsentAnswer
from otaserver.campaigns.rules import capabilities
from otaserver.campaigns.rules.capabilities import CAPABILITIES
from otaserver.director.models import Direction
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Vehicle
from otaserver.fleet.states import Protocol
from tests.campaigns.campaign_factories import at, attempt_of, in_turn, make_running, make_started, states, tick
from tests.factories import NOON, make_vehicle

pytestmark = pytest.mark.django_db

TEXT = "Sanfter anfahren."


def answer(decision="yes", text=TEXT, **changes):
    values = {"decision": decision, "by": "Erika", "language": "de"} | changes
    return ConsentAnswer(text_sha256=hashlib.sha256(text.encode()).hexdigest(), **values)


def make_asked(**plan):
    campaign = make_running(vehicles=1, consent="ask", **plan)
    Release.objects.filter(pk=campaign.release_id).update(notes={"de": TEXT})
    return campaign


def record(assignment, given, *, vehicle=None, record_id="r1", attempt=None):
    return operations.record_consent(
        vehicle or Vehicle.objects.get(pk=assignment.vehicle_id),
        given,
        attempt=attempt or attempt_of(assignment).pk,
        record_id=record_id,
        device_time=NOON,
        at=at(minutes=1),
    )


def test_what_is_asked_of_owners_is_signed_into_the_order():
    make_running(vehicles=1, consent="ask_with_deadline", consent_postponements=3, consent_deadline_seconds=60)

    assert Direction.objects.get().content["custom"]["order"]["consent"] == {
        "kind": "ask_with_deadline",
        "postponements": 3,
        "deadline_seconds": 60,
        "again_seconds": 86400,
    }


def test_an_answer_is_kept_with_who_when_language_and_text_and_moves_nothing():
    (assignment,) = in_turn(make_asked())

    record(assignment, answer("postpone"))
    record(assignment, answer("postpone"))
    record(assignment, answer("yes"), record_id="r2")

    rows = ConsentRecord.objects.order_by("pk").values_list(
        "decision", "by", "language", "is_text_known", "device_time"
    )
    assert list(rows) == [("postpone", "Erika", "de", True, NOON), ("yes", "Erika", "de", True, NOON)]
    assert Assignment.objects.get().state == "offered"


def test_a_text_that_the_order_did_not_carry_is_kept_and_flagged():
    (assignment,) = in_turn(make_asked())

    record(assignment, answer(text="Nothing will change."))

    assert not ConsentRecord.objects.get().is_text_known


@pytest.mark.parametrize("changes", [{"decision": "perhaps"}, {"by": ""}, {"language": "?"}])
def test_what_is_no_answer_is_refused(changes):
    (assignment,) = in_turn(make_asked())

    with pytest.raises(ConsentRefusedError):
        record(assignment, answer(**changes))

    assert not ConsentRecord.objects.exists()


def test_a_vehicle_answers_for_its_own_attempts_only():
    (assignment,) = in_turn(make_asked())

    with pytest.raises(AttemptNotFoundError):
        record(assignment, answer(), vehicle=make_vehicle(assignment.campaign.tenant))
    with pytest.raises(AttemptNotFoundError):
        record(assignment, answer(), attempt=uuid4())

    assert not ConsentRecord.objects.exists()


# Vehicles whose protocol cannot hold


@pytest.fixture
def dumb(monkeypatch):
    """Vehicles that install whatever they get, as those of other protocols will."""
    monkeypatch.setattr(capabilities, "CAPABILITIES", dict.fromkeys(CAPABILITIES, CAPABILITIES[Protocol.AKTUALIZR]))


def test_a_vehicle_that_cannot_ask_gets_its_order_once_consent_is_recorded_for_it(dumb):
    campaign = make_started(vehicles=2, consent="ask")
    Release.objects.filter(pk=campaign.release_id).update(notes={"de": TEXT})
    tick(campaign)
    assert states(campaign) == ["waiting", "waiting"]
    first, second = in_turn(campaign)
    assert (first.code, first.next_attempt_at) == ("withheld_consent", at(minutes=5))

    operations.record_consent_on_behalf(first, answer(), recorded_by="portal", at=NOON)
    operations.record_consent_on_behalf(second, answer("no"), recorded_by="portal", at=NOON)
    tick(campaign)

    assert states(campaign) == ["offered", "waiting"]
    kept = Entry.objects.filter(action="consent.recorded").order_by("number")
    assert [(e.actor, e.details["decision"], e.details["owner"]) for e in kept] == [
        ("portal", "yes", "Erika"),
        ("portal", "no", "Erika"),
    ]


def test_a_vehicle_that_cannot_judge_conditions_is_judged_by_its_attributes(dumb):
    campaign = make_started(vehicles=2, preconditions=[{"name": "parked", "operator": "==", "value": True}])
    first, second = in_turn(campaign)
    fleet.declare_attribute(campaign.tenant, name="parked", type="boolean", by="alice", at=NOON)
    fleet.set_attributes(first.vehicle, {"parked": True}, at=NOON)

    tick(campaign)

    second.refresh_from_db()
    assert states(campaign) == ["offered", "waiting"]
    assert (second.code, second.message) == (
        "withheld_precondition",
        "its client cannot judge it itself: parked is unknown, must be == true",
    )


def test_an_order_is_not_kept_back_for_ever(dumb):
    campaign = make_started(vehicles=1, consent="ask", offer_timeout_seconds=86400)
    tick(campaign)
    tick(campaign, at(hours=23))
    assert states(campaign) == ["waiting"]

    tick(campaign, at(hours=25))

    (assignment,) = in_turn(campaign)
    assert (assignment.state, assignment.code) == ("lapsed", "withheld_consent")
