"""A campaign that brings the artifact app-1.1 to one device of a tenant, as a test moves it."""

from dataclasses import dataclass
from typing import Any

from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.models import Assignment, Attempt
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import attempt_of, make_running, tick
from tests.factories import NOON, make_group, make_package, make_release

DEVICE_TYPE = "qemux86-64"
# The id of the deployment in everything that was recorded.
DEPLOYMENT = "11111111-2222-3333-4444-555555555555"


@dataclass
class Stage:
    """The campaign's one assignment, looked at afresh each time."""

    campaign: Any
    clock: Any

    @property
    def assignment(self):
        return Assignment.objects.select_related("vehicle", "campaign__tenant").get(campaign=self.campaign)

    @property
    def attempt(self):
        return attempt_of(self.assignment)

    @property
    def installed(self):
        return self.assignment.vehicle.ecus.get().installed_target

    def tick(self):
        tick(self.campaign, self.clock.now)

    def stop(self):
        campaigns.stop_campaign(self.campaign, reason="Smoke.", by="mia", at=self.clock.now)

    def outcome(self):
        return self.assignment.state, self.assignment.code


def order_app(vehicle, clock, *, name="app", version="1.1", **plan):
    """Order an artifact for a device of which the server knows the hardware, under the recorded id."""
    vehicle = Vehicle.objects.select_related("tenant").get(pk=vehicle.pk)
    package = make_package(vehicle.tenant, name, version, hardware_ids=(DEVICE_TYPE,))
    old = make_release(vehicle.tenant, make_package(vehicle.tenant, name, "0.9", hardware_ids=(DEVICE_TYPE,)))
    campaign = make_running(
        tenant=vehicle.tenant,
        old=old,
        release=make_release(vehicle.tenant, package, name=name, version=version),
        group=make_group(vehicle.tenant, vehicle),
        **plan,
    )
    Attempt.objects.update(id=DEPLOYMENT)
    for direction in Direction.objects.exclude(content=None):
        direction.content["custom"]["order"]["attempt"] = DEPLOYMENT
        direction.save()
    assert clock.now >= NOON
    return Stage(campaign, clock)
