from datetime import timedelta

import pytest

from otaserver.audit.models import Entry
from otaserver.fleet import operations, tasks
from otaserver.fleet.errors import AddressRefusedError, WatchRefusedError
from otaserver.fleet.models import Vehicle
from otaserver.fleet.operations import RequestFacts, watches
from otaserver.fleet.watch_models import AddressWatch, SeenRequest
from tests.factories import NOON, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db


def facts(**changes):
    values = {
        "address": "192.0.2.1",
        "method": "GET",
        "path": "/x",
        "client": "",
        "identity": "nothing",
        "status": 401,
        "code": "credential.invalid",
        "reason": "No.",
    }
    return RequestFacts(**values | changes)


@pytest.fixture
def car():
    return make_vehicle(make_tenant())


def test_a_vehicles_requests_are_kept_while_it_is_watched_and_no_longer(car):
    assert operations.note_request(car, facts(), at=NOON) is False
    operations.watch_vehicle(car, hours=2, by="ann", at=NOON)

    kept = [operations.note_request(car, facts(), at=NOON + timedelta(hours=hours)) for hours in (1, 2, 3)]

    assert kept == [True, False, False]
    assert SeenRequest.objects.count() == 1
    assert Entry.objects.get().details == {"hours": 2}


def test_a_watch_can_be_ended(car):
    operations.watch_vehicle(car, hours=2, by="ann", at=NOON)

    assert operations.watch_vehicle(car, hours=0, by="ann", at=NOON) is None

    assert Vehicle.objects.get().watched_until is None
    assert operations.note_request(car, facts(), at=NOON) is False


@pytest.mark.parametrize("hours", [-1, 73])
def test_nobody_is_watched_for_longer_than_three_days(car, hours):
    with pytest.raises(WatchRefusedError):
        operations.watch_vehicle(car, hours=hours, by="ann", at=NOON)
    with pytest.raises(WatchRefusedError):
        operations.watch_address(car.tenant, "192.0.2.1", hours=hours, by="ann", at=NOON)

    assert (Vehicle.objects.get().watched_until, AddressWatch.objects.count(), Entry.objects.count()) == (None, 0, 0)


def test_refusals_are_kept_of_watched_addresses_of_the_tenant_alone(car):
    other = make_tenant("other")
    operations.watch_address(car.tenant, "192.0.2.1", hours=1, by="ann", at=NOON)

    assert operations.note_refusal(car.tenant, facts(), at=NOON) is True
    assert operations.note_refusal(car.tenant, facts(address="192.0.2.2"), at=NOON) is False
    assert operations.note_refusal(other, facts(), at=NOON) is False
    assert operations.note_refusal(car.tenant, facts(), at=NOON + timedelta(hours=1)) is False
    assert SeenRequest.objects.count() == 1


def test_an_address_is_written_in_one_way(car):
    operations.watch_address(car.tenant, "2001:DB8:0:0::1", hours=1, by="ann", at=NOON)

    assert AddressWatch.objects.get().address == "2001:db8::1"
    with pytest.raises(AddressRefusedError):
        operations.watch_address(car.tenant, "example.com", hours=1, by="ann", at=NOON)


def test_only_the_newest_are_kept(car, monkeypatch):
    monkeypatch.setattr(watches, "KEPT_OF_EACH", 3)
    operations.watch_vehicle(car, hours=1, by="ann", at=NOON)
    operations.watch_address(car.tenant, "192.0.2.1", hours=1, by="ann", at=NOON)

    for number in range(5):
        operations.note_request(car, facts(path=f"/{number}"), at=NOON)
        operations.note_refusal(car.tenant, facts(path=f"/refused/{number}"), at=NOON)

    paths = list(SeenRequest.objects.order_by("pk").values_list("path", flat=True))
    assert paths == ["/2", "/refused/2", "/3", "/refused/3", "/4", "/refused/4"]


def test_what_is_old_goes(car):
    operations.watch_vehicle(car, hours=1, by="ann", at=NOON)
    operations.watch_address(car.tenant, "192.0.2.1", hours=1, by="ann", at=NOON)
    operations.note_request(car, facts(), at=NOON)

    early = operations.expire_watches(at=NOON + timedelta(minutes=59))
    late = operations.expire_watches(at=NOON + timedelta(days=7))
    tasks.expire_watches()

    assert (early, late, SeenRequest.objects.count(), AddressWatch.objects.count()) == (0, 2, 0, 0)
