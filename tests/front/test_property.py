"""With the front and without it the server is one and the same, whatever happens between two polls."""

import random

import pytest
from django.db import transaction

from firmware_store.states import Repository
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.models import Assignment
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Credential, Vehicle
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import make_running, make_versions, tick
from tests.factories import NOON, make_group
from tests.front.world import World, ask, attempt, now

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
STEPS = 100


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
    """All that is known of vehicles and their assignments, as (row, field, value)."""
    found = [row for model in (Vehicle, Assignment) for row in model.objects.order_by("pk").values()]
    return {(number, name, str(value)) for number, row in enumerate(found) for name, value in row.items()}


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
        with transaction.atomic():
            expected = ask(django.application, poll), rows()
            transaction.set_rollback(True)
        passed_before = django.count

        found = ask(front, poll)
        front.polls.write()

        assert found == expected[0], (name, poll)
        assert rows() ^ expected[1] == set(), (name, poll)
        world.hear(name, found)
        polls, answered = polls + 1, answered + (django.count == passed_before)
    assert (polls, answered > STEPS / 4) == (STEPS, True)
    assert server_clock.now > NOON
