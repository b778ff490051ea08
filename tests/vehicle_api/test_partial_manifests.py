"""Proof over the wire: one manifest with every ECU, or none."""

from datetime import timedelta

import pytest

from otaserver.campaigns.models import Assignment
from otaserver.director.models import Manifest
from tests.campaigns.campaign_factories import attempt_of, in_turn, make_running, make_versions
from tests.director.signing_vehicle import image, make_signing_vehicle
from tests.director.trust import make_trust
from tests.factories import NOON, make_group, make_tenant
from tests.vehicle_api.conftest import Caller, give_token
from tests.vehicle_api.test_reports import event

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(client, server_clock):
    """A car with two ECUs on 1.0, and a campaign that has offered it 2.0."""
    tenant = make_tenant("acme")
    make_trust(tenant)
    releases = old, new = make_versions(tenant), make_versions(tenant, "2.0")
    images = [{item.package.name: image(item.package) for item in r.items.select_related("package")} for r in releases]
    car = make_signing_vehicle(tenant)
    car.images = dict(zip(car.serials, [images[0]["gateway"], images[0]["brake"]], strict=True))
    caller = Caller(client, "acme", give_token(car.vehicle, "otav_secret"))
    campaign = make_running(tenant=tenant, old=old, release=new, group=make_group(tenant, car.vehicle))
    server_clock.now = NOON + timedelta(minutes=1)
    return car, caller, campaign, images


def send(car, caller, gateway, brake, *, without=None):
    car.images = dict(zip(car.serials, [gateway, brake], strict=True))
    reports = car.reports()
    if without is not None:
        del reports[without]
    response = caller.post("director/manifest", car.manifest(reports))
    assert response.status_code == 200
    return Assignment.objects.get().state


def test_halves_of_two_manifests_make_no_whole(world):
    car, caller, _, (old, new) = world

    found = [
        send(car, caller, old["gateway"], new["brake"]),
        send(car, caller, new["gateway"], old["brake"], without=car.serials[1]),
        send(car, caller, new["gateway"], new["brake"]),
    ]

    assert found == ["offered", "offered", "soaking"]


def test_a_vehicle_that_never_sent_a_manifest_is_not_believed(world):
    _, caller, campaign, _ = world
    attempt = str(attempt_of(in_turn(campaign)[0]).pk)

    answer = caller.post("events", [event(attempt=attempt, phase="finished", outcome="success")])

    assert answer.json()["accepted"] == 1
    assert Assignment.objects.get().state == "installing"


def test_the_same_manifest_again_is_stored_once(world):
    car, caller, _, (_, new) = world
    car.images = dict(zip(car.serials, [new["gateway"], new["brake"]], strict=True))
    body = car.manifest()

    for _ in range(3):
        assert caller.post("director/manifest", body).status_code == 200

    assert (Manifest.objects.count(), Assignment.objects.get().state) == (1, "soaking")
