"""What the front answers itself, and when it must not."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from firmware_store.states import Repository
from otaserver import metrics
from otaserver.campaigns import operations as campaigns
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.operations import KeylessEcu
from otaserver.fleet.states import Protocol
from otaserver.fleet.watch_models import SeenRequest
from otaserver.front import changes as reading
from otaserver.vehicle_api.ddi import limits
from tests.campaigns.campaign_factories import make_running, make_versions
from tests.factories import NOON, make_group
from tests.front.world import PROXY, Poll, ask

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
NAMES = ("uptane", "root", "aktualizr", "ddi", "gateway", "mender")
STATUS = {"uptane": 304, "root": 404, "aktualizr": 200, "ddi": 200, "gateway": 200, "mender": 204}
OWNER = {"uptane": "UPT1", "aktualizr": "AKT1", "ddi": "DDI1", "gateway": "DDI2", "mender": "MEN1"}


def order(world):
    new = make_versions(world.tenant, "2.0", hardware=("gateway",))
    vehicles = Vehicle.objects.of(world.tenant)
    return make_running(tenant=world.tenant, old=world.old, release=new, group=make_group(world.tenant, *vehicles))


def test_an_idle_poll_of_each_protocol_is_answered_without_a_query_and_as_django_answers_it(world, warm, django):
    with CaptureQueriesContext(connection) as captured:
        found = {name: ask(warm, poll) for name, poll in world.polls().items()}

    assert (len(captured), django.count) == (0, 0)
    assert {name: answer.status for name, answer in found.items()} == STATUS
    assert found == {name: ask(django, poll) for name, poll in world.polls().items()}


def test_who_sends_something_else_is_passed_on(world, warm, django):
    for number, poll in enumerate(
        [
            world.polls()["uptane"].sending(If_None_Match='"other"'),
            world.polls()["ddi"].sending(Accept="application/json"),
            world.polls()["ddi"].sending(User_Agent="other"),
            Poll(**vars(world.polls()["mender"]) | {"body": b'{"device_provides": {}}'}),
            Poll(**vars(world.polls()["aktualizr"]) | {"peer": "10.9.9.9"}),
            Poll(**vars(world.polls()["ddi"]) | {"path": "/acme/controller/v1/DDI1?x=1"}),
        ],
        start=1,
    ):
        expected = ask(warm, poll)

        assert django.count == number
        assert expected == ask(django.application, poll)


def test_a_wrong_credential_is_refused_and_records_nothing(world, warm, django, server_clock):
    server_clock.advance(minutes=5)
    before = list(Vehicle.objects.order_by("pk").values())
    kept = len(warm.answers)
    for count, name in enumerate(OWNER, start=1):
        poll = world.polls()[name]
        given = poll.headers.get("Authorization")
        wrong = poll.sending(Authorization=f"{given}x") if given else poll.sending(X_Client_Serial="0B")

        answer = ask(warm, wrong)
        warm.polls.write()

        assert (answer.status, django.count, len(warm.answers)) == (401, count, kept), name
    assert list(Vehicle.objects.order_by("pk").values()) == before


def test_a_vehicle_that_is_called_as_a_file_is_told_from_whoever_asks_in_its_name(world, front, django):
    name = "DDI.root.json"
    fleet.declare_vehicle(world.tenant, name, protocol=Protocol.DDI, ecus=[KeylessEcu(name, "gateway")], at=NOON)
    fleet.give_token(world.vehicle(name), token="fedcba9876543210", by="alice", at=NOON)
    poll = Poll(f"/acme/controller/v1/{name}", {"Authorization": "TargetToken fedcba9876543210"})
    for _ in range(4):
        assert ask(front, poll).status == 200
        front.changes.read()
    django.count = 0

    found = [ask(front, each) for each in (poll, poll.sending(Authorization="TargetToken wrong"), Poll(poll.path))]

    assert ([answer.status for answer in found], django.count) == ([200, 401, 401], 2)


def each(change):
    return lambda world: [change(world.vehicle(name)) for name in OWNER.values()]


CHANGES = {
    "block": each(lambda vehicle: fleet.block_vehicle(vehicle, reason="theft", by="a", at=NOON)),
    "order": order,
    "stop": lambda world: campaigns.stop_tenant(world.tenant, by="a", at=NOON, reason="recall"),
    "polling": lambda world: type(world.tenant).objects.update(polling_seconds=77),
    "credentials": each(lambda vehicle: fleet.revoke_credentials(vehicle, by="a", at=NOON)),
    "client": each(lambda vehicle: fleet.record_client(vehicle, "another")),
    "watch": each(lambda vehicle: fleet.watch_vehicle(vehicle, hours=1, by="a", at=NOON)),
    "manifest": lambda world: Vehicle.objects.update(is_manifest_wanted=~F("is_manifest_wanted")),
    "root": lambda world: world.trust.rotate(Repository.DIRECTOR, at=NOON),
    "decommission": each(lambda vehicle: campaigns.decommission_vehicle(vehicle, reason="scrapped", by="a", at=NOON)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_in_force_once_it_is_read(world, warm, django, change):
    CHANGES[change](world)
    warm.changes.read()

    for name in OWNER:
        django.count = 0
        answer = ask(warm, world.polls()[name])

        # A gateway's own token outlives what the vehicle has of its own, which it has not.
        assert django.count == (0 if (name, change) == ("gateway", "credentials") else 1), name
        assert answer == ask(django, world.polls()[name]), name


def test_a_revoked_gateway_token_is_refused(world, warm):
    fleet.revoke_gateway_token(world.tenant, name="hub", by="alice", at=NOON)
    warm.changes.read()

    assert ask(warm, world.polls()["gateway"]).status == 401


def test_of_another_vehicle_nothing_is_let_go(world, warm, django):
    fleet.block_vehicle(world.vehicle("UPT1"), reason="theft", by="alice", at=NOON)
    warm.changes.read()

    for name in ("root", "aktualizr", "ddi", "gateway", "mender"):
        ask(warm, world.polls()[name])

    assert django.count == 0


@pytest.mark.parametrize("name", ["uptane", "root", "ddi", "mender"])
def test_an_answer_begun_before_a_change_is_not_kept_after_it(world, warm, django, server_clock, name):
    def change_meanwhile():
        CHANGES["block" if name in OWNER else "root"](world)
        warm.changes.read()
        django.before_answering = None

    Vehicle.objects.update(client="moved")
    type(world.tenant).objects.update(polling_seconds=77)
    warm.changes.read()
    django.before_answering = change_meanwhile
    ask(warm, world.polls()[name])

    ask(warm, world.polls()[name])

    assert django.count == 2


def test_nothing_is_answered_while_the_changes_cannot_be_read(world, warm, django, monkeypatch):
    monkeypatch.setattr(reading, "CURRENT_SECONDS", 0.0)

    answers = [ask(warm, world.polls()["ddi"]) for _ in range(3)]

    assert django.count == 3
    assert {answer.status for answer in answers} == {200}


def test_who_has_not_read_for_long_takes_everything_for_changed(world, warm, django):
    warm.changes._read_at -= 3600
    warm.changes.read()

    ask(warm, world.polls()["ddi"])

    assert django.count == 1


def test_too_many_changes_at_once_are_everything(world, warm, django, monkeypatch):
    monkeypatch.setattr(reading, "MOST", 1)
    Vehicle.objects.filter(vehicle_id="UPT1").update(client="moved")
    warm.changes.read()

    ask(warm, world.polls()["ddi"])

    assert django.count == 1


def test_an_answer_ends_with_the_day(world, warm, django, server_clock):
    server_clock.advance(hours=6)

    for count, (name, poll) in enumerate(world.polls().items(), start=1):
        answer = ask(warm, poll)

        assert django.count == count, name
        assert answer == ask(django.application, poll), name


def test_an_ended_token_is_refused_in_the_moment_in_which_it_ends(world, front, django, server_clock):
    ends = NOON + timedelta(minutes=1)
    Credential.objects.filter(vehicle__vehicle_id="UPT1").update(expires_at=ends, used_at=NOON)
    for _ in range(4):
        world.hear("uptane", ask(front, world.polls()["uptane"]))
        front.changes.read()
    django.count = 0
    server_clock.now = ends - timedelta(microseconds=1)
    assert (ask(front, world.polls()["uptane"]).status, django.count) == (304, 0)

    server_clock.now = ends

    assert (ask(front, world.polls()["uptane"]).status, django.count) == (401, 1)


def test_contacts_are_written_together_once_a_minute_and_never_back(world, warm, django, server_clock):
    for minutes, seconds in ((0, 30), (1, 2), (1, 40)):
        server_clock.now = NOON + timedelta(minutes=minutes, seconds=seconds)
        for poll in world.polls().values():
            ask(warm, poll)
        warm.polls.write()
        warm.changes.read()
    recorded = NOON + timedelta(minutes=1, seconds=2)

    assert django.count == 0
    assert set(Vehicle.objects.values_list("last_contact_at", flat=True)) == {recorded}


def test_a_contact_is_handed_over_once_a_minute(world, warm, server_clock):
    handed_over = []
    for seconds in (61, 30, 29, 2):
        server_clock.advance(seconds=seconds)
        ask(warm, world.polls()["ddi"])
        with CaptureQueriesContext(connection) as captured:
            warm.polls.write()
        handed_over.append(any("UPDATE" in query["sql"] for query in captured))

    assert handed_over == [True, False, False, True]


def test_contacts_that_cannot_be_written_wait(world, warm, server_clock):
    server_clock.advance(minutes=5)
    ask(warm, world.polls()["ddi"])
    with pytest.raises(Exception, match="vehicle"), connection.execute_wrapper(_refuse):
        warm.polls.write()

    warm.polls.write()

    assert world.vehicle("DDI1").last_contact_at == server_clock.now


def test_while_contacts_cannot_be_written_no_more_wait_than_there_are_vehicles(world, warm, server_clock):
    for _ in range(5):
        server_clock.advance(minutes=5)
        ask(warm, world.polls()["ddi"])
        with pytest.raises(RuntimeError), connection.execute_wrapper(_refuse):
            warm.polls.write()
    waiting = len(warm.polls._contacts)

    warm.polls.write()

    assert (waiting, len(warm.polls._contacts)) == (1, 0)
    assert world.vehicle("DDI1").last_contact_at == server_clock.now


def _refuse(execute, sql, params, many, context):
    raise RuntimeError(f"no vehicle: {sql[:20]}")


def test_answers_are_counted_as_django_counts_them(world, warm):
    def counted(*labels):
        return metrics.vehicle_requests.labels(*labels)._value.get()

    wanted = [("uptane", "poll", "ok"), ("aktualizr", "other", "refused"), ("ddi", "poll", "ok")]
    before = [counted(*labels) for labels in wanted]
    for poll in world.polls().values():
        ask(warm, poll)

    warm.polls.write()

    assert [counted(*labels) - was for labels, was in zip(wanted, before, strict=True)] == [1, 1, 2]


def test_a_watched_vehicle_is_passed_on_and_its_requests_are_kept(world, warm, django):
    fleet.watch_vehicle(world.vehicle("DDI1"), hours=1, by="alice", at=NOON)
    warm.changes.read()

    for _ in range(3):
        ask(warm, world.polls()["ddi"])
        warm.changes.read()

    assert (django.count, SeenRequest.objects.count()) == (3, 3)


def test_what_is_refused_to_a_watched_address_is_passed_on(world, warm, django):
    fleet.watch_address(world.tenant, PROXY, hours=1, by="alice", at=NOON)
    warm.changes.read()

    for _ in range(2):
        ask(warm, world.polls()["root"])

    assert (django.count, SeenRequest.objects.count()) == (2, 2)


def test_a_blocked_address_and_one_that_asks_too_often_are_refused(world, warm, settings, monkeypatch):
    poll = world.polls()["ddi"].sending(X_Forwarded_For="8.8.8.8")
    assert ask(warm, poll).status == 200
    monkeypatch.setattr(limits, "READS_PER_SECOND", 0)
    assert ask(warm, poll).status == 429
    monkeypatch.undo()
    settings.BLOCKED_ADDRESSES = ["8.8.8.8"]

    assert ask(warm, poll).status == 403


def test_a_vehicle_with_an_order_is_always_asked_of_django(world, warm, django):
    order(world)
    for _ in range(3):
        warm.changes.read()
        world.hear("uptane", ask(warm, world.polls()["uptane"]))
    django.count = 0

    assert ask(warm, world.polls()["uptane"]).status == 304
    assert django.count == 1


def test_a_request_gets_an_id_of_its_own_where_it_brings_none(world, warm):
    ids = [ask_for_id(warm, world.polls()["ddi"], given) for given in ("", "mine-1", "no id\xff")]

    assert ids[1] == "mine-1"
    assert [len(ids[0]), len(ids[2])] == [32, 32]


def ask_for_id(front, poll, given):
    said = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": poll.path, "QUERY_STRING": "", "REMOTE_ADDR": poll.peer}
    environ |= {"wsgi.url_scheme": "http", "HTTP_HOST": "testserver", "HTTP_X_REQUEST_ID": given}
    front(environ | {"HTTP_AUTHORIZATION": poll.headers["Authorization"]}, lambda _, headers: said.extend(headers))
    return dict(said)["X-Request-Id"]
