"""With the front and without it the server is one and the same, whatever happens between two polls."""

import random
from collections import Counter
from functools import partial

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import transaction

from firmware_store.states import Repository
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.models import Assignment, Report
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Credential, Vehicle
from otaserver.tenants.models import Tenant
from otaserver.vehicle_api import identity
from tests.campaigns.campaign_factories import make_running, make_versions, tick
from tests.factories import NOON, make_group
from tests.front.world import World, ask, attempt, now

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
STEPS = 100
LOOK_UPS = (
    *("identify_token", "identify_certificate", "identify_session", "identify_pre_shared", "check_gateway_token"),
)


class Changes:
    """Everything that somebody may do between two polls, drawn at random; what is refused just now changes nothing."""

    def __init__(self, world: World, draw: random.Random) -> None:
        self._world, self._draw, self._orders = world, draw, 0

    def one(self) -> None:
        names = [name for name in vars(type(self)) if name.startswith("do_")]
        attempt(getattr(self, self._draw.choice(names)))

    def _vehicle(self) -> Vehicle:
        return self._world.vehicle(self._draw.choice(["UPT1", "AKT1", "DDI1", "DDI2", "MEN1"]))

    def do_block(self):
        fleet.block_vehicle(self._vehicle(), reason="theft", by="a", at=now())

    def do_unblock(self):
        for vehicle in Vehicle.objects.exclude(blocked_at=None):
            fleet.unblock_vehicle(vehicle, reason="found", by="a", at=now())

    def do_stop(self):
        campaigns.stop_tenant(self._tenant(), by="a", at=now(), reason="recall")

    def do_resume(self):
        campaigns.resume_tenant(self._tenant(), by="a", at=now(), reason="solved")

    def do_order(self):
        self._orders += 1
        tenant = self._tenant()
        new = make_versions(tenant, f"2.{self._orders}", hardware=("gateway",))
        make_running(
            tenant=tenant,
            old=self._world.old,
            release=new,
            group=make_group(tenant, self._vehicle()),
            name=f"c{self._orders}",
        )

    def do_withdraw(self):
        for campaign in {one.campaign for one in Assignment.objects.select_related("campaign__tenant")}:
            if attempt(lambda campaign=campaign: campaigns.stop_campaign(campaign, by="a", at=now(), reason="bad")):
                tick(campaign, now())

    def do_polling(self):
        Tenant.objects.update(polling_seconds=self._draw.randint(30, 600))

    def do_ask_for_a_manifest(self):
        Vehicle.objects.filter(pk=self._vehicle().pk).update(is_manifest_wanted=self._draw.random() < 0.5)

    def do_watch(self):
        fleet.watch_vehicle(self._vehicle(), hours=self._draw.choice([0, 1]), by="a", at=now())

    def do_rotate_keys(self):
        self._world.trust.rotate(Repository.DIRECTOR, at=now())

    def do_speak_with_another_client(self):
        fleet.record_client(self._vehicle(), self._draw.choice(["one", "two"]))

    def do_revoke(self):
        # And take it back by hand, so that something is left to poll.
        vehicle = self._vehicle()
        if not Credential.objects.filter(vehicle=vehicle).exclude(revoked_at=None).update(revoked_at=None):
            fleet.revoke_credentials(vehicle, by="a", at=now())

    def _tenant(self) -> Tenant:
        return Tenant.objects.get(pk=self._world.tenant.pk)


def rows():
    """All that is known of vehicles, their assignments and what they said of them, as (row, field, value)."""
    found = [row for model in (Vehicle, Assignment, Report) for row in model.objects.order_by("pk").values()]
    return {(number, name, str(value)) for number, row in enumerate(found) for name, value in row.items()}


def rolled_back(application, poll):
    """Return what an application answers and what that leaves in the database, and undo it."""
    with transaction.atomic():
        found = ask(application, poll), rows()
        transaction.set_rollback(True)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_answers_and_rows_are_those_of_a_server_without_a_front(world, front, django, server_clock, seed):
    draw = random.Random(seed)
    changes = Changes(world, draw)
    polls = answered = 0
    for _ in range(STEPS):
        happens = draw.random()
        if happens < 0.12:
            changes.one()
        elif happens < 0.2:
            server_clock.advance(seconds=draw.choice([31, 91, 3700, 7 * 3600]))
        front.changes.read()
        name, poll = draw.choice(list(world.polls().items()))
        expected = rolled_back(django.application, poll)
        passed_before = django.count

        found = ask(front, poll)
        front.polls.write()

        assert found == expected[0], (name, poll)
        assert rows() ^ expected[1] == set(), (name, poll)
        world.hear(name, found)
        polls, answered = polls + 1, answered + (django.count == passed_before)
    assert (polls, answered > STEPS / 4) == (STEPS, True)
    assert server_clock.now > NOON


@pytest.fixture
def looked_up(monkeypatch):
    """How often each kind of credential was looked up."""
    counted = Counter()

    def count(name, look_up, *arguments, **more):
        counted[name] += 1
        return look_up(*arguments, **more)

    for name in LOOK_UPS:
        monkeypatch.setattr(identity.fleet, name, partial(count, name, getattr(identity.fleet, name)))
    return counted


@pytest.mark.parametrize("seed", [1, 2])
def test_who_is_recognised_is_answered_as_whoever_is_looked_up(world, front, server_clock, looked_up, seed):
    draw = random.Random(seed)
    changes = Changes(world, draw)
    recognised = 0
    for _ in range(STEPS):
        happens = draw.random()
        if happens < 0.12:
            changes.one()
        elif happens < 0.2:
            server_clock.advance(seconds=draw.choice([31, 91, 3700]))
        front.changes.read()
        name, request = draw.choice(list((world.others() | world.polls()).items()))
        expected = rolled_back(WSGIHandler(), request)
        looked_up.clear()

        found = ask(front, request)
        front.polls.write()

        assert found == expected[0], (name, request)
        assert rows() ^ expected[1] == set(), (name, request)
        recognised += not looked_up
        world.hear(name, found)
    assert recognised > STEPS / 3
