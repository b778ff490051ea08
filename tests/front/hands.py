"""Hands on the database beside web processes: makes a fleet, says how it polls, and does what it is told, line by line.

Run as a process of its own, with the environment of those processes.
"""

import json
import sys
from datetime import timedelta

import django

django.setup()

from otaserver import clock  # noqa: E402
from otaserver.campaigns import operations as campaigns  # noqa: E402
from otaserver.fleet import operations as fleet  # noqa: E402
from otaserver.fleet.models import Credential, Vehicle  # noqa: E402
from otaserver.fleet.operations.identity import token_fingerprint  # noqa: E402
from tests.campaigns.campaign_factories import make_approved, make_fleet, make_versions  # noqa: E402
from tests.director.trust import make_trust  # noqa: E402
from tests.factories import make_group, make_tenant  # noqa: E402

IDLE, BLOCKED, STOPPED, REVOKED = "idle", "blocked", "stopped", "revoked"


def make_stage():
    """Vehicles: two with an order, one that will get one, and one that loses its token."""
    tenant = make_trust(make_tenant("acme")).tenant
    old, new = make_versions(tenant, hardware=("gateway",)), make_versions(tenant, "2.0", hardware=("gateway",))
    vehicles = dict(zip((BLOCKED, STOPPED, IDLE, REVOKED), make_fleet(tenant, 4, old, ("gateway",)), strict=True))
    for name, vehicle in vehicles.items():
        now = clock.now()
        token = token_fingerprint(f"otav_{name}")
        ends = now + timedelta(days=9)
        Credential.objects.create(
            vehicle=vehicle, kind="token", fingerprint=token, created_at=now, used_at=now, expires_at=ends
        )
    plans = {}
    for names in ((BLOCKED, STOPPED), (IDLE,)):
        group = make_group(tenant, *(vehicles[name] for name in names))
        plans[names[0]] = make_approved(tenant=tenant, old=old, release=new, group=group, name=names[0])
    start(plans[BLOCKED])
    return tenant, vehicles, plans


def start(campaign):
    campaigns.start_campaign(campaign, by="alice", at=clock.now())
    while campaigns.advance_campaign(campaign.pk, at=clock.now()):
        pass


def main():
    tenant, vehicles, plans = make_stage()
    print(json.dumps({name: f"otav_{name}" for name in vehicles}), flush=True)  # noqa: T201
    doing = {
        IDLE: lambda: start(plans[IDLE]),
        BLOCKED: lambda: fleet.block_vehicle(_fresh(vehicles[BLOCKED]), reason="theft", by="alice", at=clock.now()),
        REVOKED: lambda: fleet.revoke_credentials(_fresh(vehicles[REVOKED]), by="alice", at=clock.now()),
        STOPPED: lambda: campaigns.stop_tenant(tenant, by="alice", at=clock.now(), reason="recall"),
    }
    for line in sys.stdin:
        doing[line.strip()]()
        print("done", flush=True)  # noqa: T201


def _fresh(vehicle):
    return Vehicle.objects.select_related("tenant").get(pk=vehicle.pk)


main()
