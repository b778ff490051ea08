"""Fills an empty database for a journey under load: `python -m tests.e2e.fleet_rows COUNT`, told what the server is.

DDI vehicles that run 1.0, each with a token, and two approved campaigns for all of them: to 2.0 in two waves, and from
there to 3.0 in one. Prints what the journey has to know, as JSON.
"""

import json
import sys
from datetime import timedelta
from decimal import Decimal

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from otaserver import clock  # noqa: E402
from otaserver.campaigns import operations as campaigns  # noqa: E402
from otaserver.campaigns.operations import CampaignPlan, WavePlan  # noqa: E402
from otaserver.fleet.models import Credential, Ecu, Vehicle  # noqa: E402
from otaserver.fleet.operations import refresh_configurations, shared_tokens  # noqa: E402
from otaserver.fleet.states import CredentialKind, Protocol  # noqa: E402
from otaserver.tenants import operations as tenants  # noqa: E402
from tests.campaigns.campaign_factories import make_versions  # noqa: E402
from tests.factories import make_group, make_tenant  # noqa: E402

TOKEN = "0123456789abcdef0123456789abcdef"


def make_vehicles(tenant, release, count):
    now = clock.now()
    known = {"tenant": tenant, "protocol": Protocol.DDI, "created_at": now, "enrolled_at": now, "confirmed_at": now}
    made = Vehicle.objects.bulk_create(Vehicle(vehicle_id=f"CAR{n:05}", **known) for n in range(count))
    package = release.items.get().package
    runs = {"installed_target": package.target_name, "installed_sha256": package.sha256}
    Ecu.objects.bulk_create(
        Ecu(vehicle=each, serial=each.vehicle_id, hardware_id="gateway", is_primary=True, **runs) for each in made
    )
    given = {"kind": CredentialKind.PRE_SHARED, "created_at": now, "expires_at": now + timedelta(days=9)}
    Credential.objects.bulk_create(
        Credential(vehicle=each, fingerprint=shared_tokens._salted(each, TOKEN), **given) for each in made
    )
    refresh_configurations(Vehicle.objects.of(tenant))
    return made


def approve(tenant, name, *, to, way_back, group, waves):
    now = clock.now()
    plan = CampaignPlan(
        name=name,
        release=to,
        group=group,
        waves=[WavePlan(Decimal(percent)) for percent in waves],
        fallback_release=way_back,
        soak_seconds=1,
    )
    campaign = campaigns.create_campaign(tenant, plan, by="alice", at=now)
    campaigns.submit_campaign(campaign, by="alice", at=now)
    campaigns.approve_campaign(campaign, by="bob", at=now)
    return campaign.pk


def main(count):
    call_command("migrate", verbosity=0)
    tenant = make_tenant("acme")
    old, new, newest = [make_versions(tenant, version, hardware=("gateway",)) for version in ("1.0", "2.0", "3.0")]
    vehicles = make_vehicles(tenant, old, count)
    group = make_group(tenant, *vehicles)
    made = {
        "operator": tenants.issue_service_token(tenant, name="ci", role="administrator", by="alice", at=clock.now()),
        "first": approve(tenant, "to 2.0", to=new, way_back=old, group=group, waves=(10, 100)),
        "second": approve(tenant, "to 3.0", to=newest, way_back=new, group=group, waves=(100,)),
        "names": [vehicle.vehicle_id for vehicle in vehicles],
        "token": TOKEN,
    }
    print(json.dumps(made, default=str))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
