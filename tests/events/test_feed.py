"""Events follow from the audit record: none is lost, none is made up, each is told once, in order."""

import json

import pytest
from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.states import AssignmentState, CampaignState
from otaserver.events import operations
from otaserver.events.models import Delivery, Endpoint, Event, Feed, ToldOutcome
from otaserver.events.operations import feed as feeds
from otaserver.events.rules.types import data_schema
from otaserver.statemachine import StaleStateError
from tests.events.conftest import make_endpoint
from tests.factories import NOON, make_group, make_package, make_release, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


def make_campaign(tenant, name="first", **fields):
    package = make_package(tenant, f"part-{name}")
    return Campaign.objects.create(
        tenant=tenant,
        name=name,
        release=make_release(tenant, package),
        group=make_group(tenant),
        no_way_back_reason="first",
        created_by="test",
        created_at=NOON,
        **({"state": CampaignState.RUNNING} | fields),
    )


def told(tenant):
    return list(Event.objects.filter(tenant=tenant).order_by("sequence").values_list("type", "subject"))


def test_what_people_do_is_told_in_order(tenant, endpoint):
    campaign = make_campaign(tenant)
    campaigns.pause_campaign(campaign, by="alice", at=NOON)
    campaigns.resume_campaign(campaign, by="alice", at=NOON)
    campaigns.stop_campaign(campaign, reason="Smoke.", by="alice", at=NOON)

    has_more = operations.publish(tenant, at=NOON)

    subject = f"campaign/{campaign.pk}"
    assert not has_more
    assert told(tenant) == [
        ("campaign.paused", subject),
        ("campaign.resumed", subject),
        ("campaign.halted", subject),
    ]
    halted = Event.objects.get(type="campaign.halted")
    assert halted.data == {
        "tenant": "acme",
        "actor": "alice",
        "object": {"kind": "campaign", "id": campaign.pk, "name": "first"},
        "sentence": "Smoke.",
        "wave": None,
        "details": {},
    }
    assert set(halted.data) == set(data_schema()["required"])
    assert list(Delivery.objects.order_by("pk").values_list("event__sequence", flat=True)) == [1, 2, 3]


def test_what_was_rolled_back_is_not_told(tenant):
    campaign = make_campaign(tenant)
    with pytest.raises(RuntimeError), transaction.atomic():
        campaigns.pause_campaign(campaign, by="alice", at=NOON)
        raise RuntimeError

    operations.publish(tenant, at=NOON)

    assert told(tenant) == []


def test_telling_twice_tells_nothing_twice(tenant, endpoint):
    audit.record("package.published", "x", tenant=tenant, by="ci", at=NOON, sha256="0")

    for _ in range(2):
        operations.publish(tenant, at=NOON)

    assert told(tenant) == [("package.published", "package/x")]
    assert Delivery.objects.count() == 1
    assert operations.tenants_with_news() == []


def test_of_two_that_tell_at_once_one_tells(tenant):
    audit.record("package.published", "x", tenant=tenant, by="ci", at=NOON)
    stale = feeds.locked_feed(tenant)
    operations.publish(tenant, at=NOON)

    with pytest.raises(StaleStateError):
        feeds.store(stale, [feeds.Draft("package.published", "package/x", NOON, {})], position=1, at=NOON)

    assert told(tenant) == [("package.published", "package/x")]


def test_a_long_record_is_told_in_parts_without_gaps(tenant, monkeypatch):
    monkeypatch.setattr(feeds, "CHUNK", 2)
    for number in range(5):
        audit.record("package.published", f"p{number}", tenant=tenant, by="ci", at=NOON)

    turns = 1
    while operations.publish(tenant, at=NOON):
        turns += 1

    assert turns == 3
    assert [subject for _, subject in told(tenant)] == [f"package/p{number}" for number in range(5)]
    assert list(Event.objects.order_by("sequence").values_list("sequence", flat=True)) == [1, 2, 3, 4, 5]


def test_what_nobody_is_told_moves_the_feed_on(tenant):
    audit.record("vehicle.blocked", "vehicle", tenant=tenant, by="alice", at=NOON)
    assert operations.tenants_with_news() == [tenant.pk]

    operations.publish(tenant, at=NOON)

    assert (operations.tenants_with_news(), Feed.objects.get().position, told(tenant)) == ([], 1, [])


def test_an_endpoint_gets_what_it_wants_of_its_own_tenant_while_it_is_active(tenant, endpoint, listener):
    only_waves = make_endpoint(tenant, listener.url, ("wave.*",))[0]
    paused = make_endpoint(tenant, listener.url)[0]
    operations.pause_endpoint(paused, reason="x", by="alice", at=NOON)
    make_endpoint(make_tenant("other"), listener.url)
    operations.publish(tenant, at=NOON)
    Delivery.objects.all().delete()
    audit.record("wave.passed", "w", tenant=tenant, by="engine", at=NOON)
    audit.record("package.refused", "p", tenant=tenant, by="ci", at=NOON)

    operations.publish(tenant, at=NOON)

    rows = Delivery.objects.order_by("endpoint", "pk").values_list("endpoint", "event__type")
    assert list(rows) == [
        (endpoint.pk, "wave.passed"),
        (endpoint.pk, "package.refused"),
        (only_waves.pk, "wave.passed"),
    ]


def settle(campaign, state, *, at=NOON, vehicle_id=None, code=""):
    vehicle = make_vehicle(campaign.tenant, vehicle_id)
    rank = campaign.assignments.count()
    return Assignment.objects.create(
        campaign=campaign, vehicle=vehicle, rank=rank, state=state, settled_at=at, code=code
    )


@pytest.fixture
def asking(tenant, listener):
    """A tenant that has asked for the ends of assignments, and is heard."""
    make_endpoint(tenant, listener.url, ("assignment.settled",))
    operations.tell(tenant, at=NOON)
    return tenant


def test_ends_of_assignments_are_told_in_batches_to_who_asked(asking):
    campaign, other = make_campaign(asking), make_campaign(asking, "second")
    settle(campaign, AssignmentState.SUCCEEDED, vehicle_id="VIN1")
    settle(campaign, AssignmentState.FAILED, vehicle_id="VIN2", code="no_space")
    settle(other, AssignmentState.LAPSED, vehicle_id="VIN3")
    Assignment.objects.create(campaign=other, vehicle=make_vehicle(asking), rank=9, state=AssignmentState.WAITING)

    assert operations.tell(asking, at=NOON) is False

    assert told(asking) == [
        ("assignment.settled", f"campaign/{campaign.pk}"),
        ("assignment.settled", f"campaign/{other.pk}"),
    ]
    assert Event.objects.earliest("sequence").data["details"] == {
        "counts": {"succeeded": 1, "failed": 1},
        "vehicles": [
            {"vehicle_id": "VIN1", "state": "succeeded", "code": ""},
            {"vehicle_id": "VIN2", "state": "failed", "code": "no_space"},
        ],
    }


def test_an_end_is_told_once_and_again_if_it_ends_otherwise_later(asking):
    campaign = make_campaign(asking)
    assignment = settle(campaign, AssignmentState.LAPSED)
    later = NOON.replace(minute=5)
    for _ in range(2):
        operations.tell(asking, at=NOON)
    assert len(told(asking)) == 1
    Assignment.objects.filter(pk=assignment.pk).update(state=AssignmentState.SUCCEEDED, settled_at=later)

    operations.tell(asking, at=later)

    assert len(told(asking)) == 2


def test_an_end_that_was_committed_late_is_told(asking):
    campaign = make_campaign(asking)
    later = NOON.replace(minute=9)
    operations.tell(asking, at=later)
    settle(campaign, AssignmentState.SUCCEEDED, at=NOON.replace(minute=1))

    operations.tell(asking, at=later)

    assert len(told(asking)) == 1


def test_what_ended_while_nobody_asked_is_not_told_to_who_asks_later(asking, listener):
    campaign, later = make_campaign(asking), NOON.replace(day=9)
    operations.remove_endpoint(Endpoint.objects.get(), by="alice", at=NOON)
    settle(campaign, AssignmentState.SUCCEEDED, at=NOON.replace(day=5))
    wanted = {"url": listener.url, "types": ["assignment.settled"], "description": ""}
    operations.create_endpoint(asking, **wanted, by="alice", at=later)
    settle(campaign, AssignmentState.FAILED, at=later, vehicle_id="VIN2")

    operations.tell(asking, at=later)

    (event,) = Event.objects.filter(type="assignment.settled")
    assert [one["vehicle_id"] for one in event.data["details"]["vehicles"]] == ["VIN2"]


def test_what_was_told_long_ago_is_not_looked_at_any_more(asking):
    campaign = make_campaign(asking)
    settle(campaign, AssignmentState.SUCCEEDED)
    operations.tell(asking, at=NOON)

    operations.tell(asking, at=NOON.replace(hour=13))

    assert ToldOutcome.objects.count() == 0
    assert Feed.objects.get().outcomes_since == NOON.replace(minute=50)
    assert len(told(asking)) == 1


def test_nobody_who_has_not_asked_pays_for_ends(tenant, endpoint):
    assert operations.tenants_that_ask() == []
    Endpoint.objects.update(types=["assignment.*"])
    assert operations.tenants_that_ask() == [tenant.pk]


def test_old_events_are_forgotten_with_their_deliveries(tenant, endpoint):
    audit.record("package.published", "old", tenant=tenant, by="ci", at=NOON)
    audit.record("package.published", "new", tenant=tenant, by="ci", at=NOON.replace(day=20))
    operations.publish(tenant, at=NOON)

    assert operations.forget(at=NOON.replace(month=7, day=10), days=30) == 1

    assert told(tenant) == [("package.published", "package/new")]
    assert Delivery.objects.count() == 1


def test_an_event_is_json_that_can_be_stored_and_sent(tenant):
    audit.record("campaign.completed", "c", tenant=tenant, by="engine", at=NOON, counts={"succeeded": 2})
    operations.publish(tenant, at=NOON)

    event = Event.objects.get()

    assert json.dumps(operations.document_of(event, tenant="acme"))
    assert event.data["details"] == {"counts": {"succeeded": 2}}
    assert event.data["sentence"] == "Campaign c is completed."
