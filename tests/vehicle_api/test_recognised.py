"""Who is known again without a look at their credential, and when nobody is."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from otaserver.fleet.errors import CredentialInvalidError
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant
from otaserver.vehicle_api import identity
from otaserver.vehicle_api.recognised import Found, Recognised, key_of
from tests.factories import NOON, make_tenant, make_vehicle

pytestmark = [pytest.mark.django_db]
ENDS = NOON + timedelta(days=1)


class Changes:
    """What has changed, as a test says."""

    def __init__(self):
        self.count, self.is_read, self.changed = 1, True, {}

    def is_current(self):
        return self.is_read

    def has_identity_changed(self, owner, tenant, since):
        return since < self.changed.get(owner, 0) or since < self.changed.get(-tenant, 0)

    def tell(self, owner):
        self.count += 1
        self.changed[owner] = self.count


class Desk:
    """Looks vehicles up, and counts how often it has to."""

    def __init__(self, vehicle, until=ENDS, **more):
        self.changes = Changes()
        self.recognised = Recognised(self.changes, **more)
        self.vehicle, self.until, self.count = vehicle, until, 0

    def look_up(self):
        self.count += 1
        return Found(self.vehicle, self.until)

    def find(self, shown="secret", at=NOON):
        return self.recognised.find(key_of(shown), self.look_up, at=at)


@pytest.fixture
def vehicle():
    made = make_vehicle(make_tenant("acme", polling_seconds=77), "VIN1", last_contact_at=NOON, client="agent")
    return Vehicle.objects.select_related("tenant").get(pk=made.pk)


def test_the_second_time_nothing_is_read_and_the_rest_of_the_row_at_once(vehicle):
    desk = Desk(vehicle)
    desk.find()
    Vehicle.objects.update(is_manifest_wanted=True, blocked_at=NOON)

    with CaptureQueriesContext(connection) as captured:
        found = desk.find()
        known = found.pk, found.vehicle_id, found.client, found.last_contact_at, found.watched_until
        tenant = found.tenant
        known_of_tenant = tenant.pk, tenant.name, tenant.polling_seconds
    with CaptureQueriesContext(connection) as read:
        rest = found.is_manifest_wanted, found.blocked_at, found.time_zone

    assert (desk.count, len(captured), len(read)) == (1, 0, 1)
    assert known == (vehicle.pk, "VIN1", "agent", NOON, None)
    assert known_of_tenant == (vehicle.tenant_id, "acme", 77)
    assert rest == (True, NOON, "UTC")
    assert found == vehicle


def test_who_shows_anything_else_is_looked_up(vehicle):
    desk = Desk(vehicle)
    for shown in ("secret", "secret ", "Secret", "", ("secret",)):
        desk.find(shown)

    assert (desk.count, len(desk.recognised)) == (5, 5)


def test_a_change_of_the_vehicle_or_of_its_tenant_is_seen_and_one_of_another_is_not(vehicle):
    desk = Desk(vehicle)
    for told, count in ((None, 1), (vehicle.pk + 1, 1), (vehicle.pk, 2), (-vehicle.tenant_id, 3), (-99, 3)):
        if told is not None:
            desk.changes.tell(told)
        desk.find()

        assert desk.count == count, told


def test_what_changes_while_it_is_looked_up_makes_it_worthless(vehicle):
    desk = Desk(vehicle)
    found = desk.look_up

    def look_up():
        desk.changes.tell(vehicle.pk)
        return found()

    desk.look_up = look_up
    desk.find()
    desk.find()

    assert desk.count == 2


def test_nobody_is_known_past_the_end_of_the_credential(vehicle):
    desk = Desk(vehicle)
    for at, count in ((NOON, 1), (ENDS - timedelta(microseconds=1), 1), (ENDS, 2)):
        desk.find(at=at)

        assert desk.count == count, at


def test_nobody_is_known_while_changes_cannot_be_read(vehicle):
    desk = Desk(vehicle)
    desk.find()
    desk.changes.is_read = False
    desk.find()
    desk.find("other")
    desk.changes.is_read = True
    desk.find()
    desk.find("other")

    assert desk.count == 4


def test_one_that_had_never_called_is_not_kept(vehicle):
    vehicle.last_contact_at = None
    desk = Desk(vehicle)
    desk.find()

    assert len(desk.recognised) == 0


def test_of_what_is_refused_nothing_is_kept(vehicle):
    desk = Desk(vehicle)

    def refuse():
        raise CredentialInvalidError("No.")

    for _ in range(2):
        with pytest.raises(CredentialInvalidError):
            desk.recognised.find(key_of("wrong"), refuse, at=NOON)
    assert len(desk.recognised) == 0


def test_the_first_that_came_goes_first(vehicle):
    desk = Desk(vehicle, most=2)
    for shown in ("1", "2", "3"):
        desk.find(shown)
    desk.find("3")
    desk.find("2")
    assert desk.count == 3

    desk.find("1")

    assert (desk.count, len(desk.recognised)) == (4, 2)


def test_a_contact_that_was_recorded_is_known_from_then_on(vehicle):
    desk = Desk(vehicle)
    key = key_of("secret")
    for minutes, known in ((5, 5), (3, 5)):
        found = desk.find()
        found.last_contact_at = NOON + timedelta(minutes=minutes)
        desk.recognised.note_contact(key, found)

        assert desk.find().last_contact_at == NOON + timedelta(minutes=known)
    assert desk.count == 1


def test_no_secret_is_kept(vehicle):
    desk = Desk(vehicle)
    desk.find("a-secret-of-somebody")

    assert "a-secret-of-somebody" not in repr(vars(desk.recognised))


def test_names_that_run_into_each_other_are_told_apart():
    assert len({key_of("a", "b"), key_of("ab", ""), key_of("a\nb", ""), key_of("a', 'b")}) == 4


def test_what_is_asked_of_a_tenant_is_read_at_once():
    tenant = make_tenant("acme", title="Acme")
    part = Tenant.part({"id": tenant.pk, "name": "acme"})

    with CaptureQueriesContext(connection) as captured:
        assert (part.title, part.stopped_at, part.version_floor) == ("Acme", None, 0)

    assert len(captured) == 1


def test_without_a_front_everybody_is_looked_up(vehicle, rf):
    desk, request = Desk(vehicle), rf.get("/")
    for _ in range(2):
        assert identity.recognise(request, "secret", look_up=desk.look_up, at=NOON) == vehicle

    assert desk.count == 2
