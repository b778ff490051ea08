"""A campaign's two heavy moments over a large fleet, against one INSERT … SELECT of as many rows.

The bare table has a primary key and one index. Every run is rolled back, so that all start from the same rows.
"""

import time
from collections.abc import Callable

from django.db import connection, transaction

from otaserver.campaigns import operations
from otaserver.campaigns.models import Attempt
from otaserver.campaigns.operations.offers import OFFER_CHUNK
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant
from tests.bench import fleets, measuring
from tests.campaigns.campaign_factories import make_approved, make_versions
from tests.factories import NOON, make_tenant

VEHICLES = 20_000
BARE_ROUNDS = 5
START = f"start over {VEHICLES:,} vehicles"
OPEN = f"opening a wave of {VEHICLES:,}, {OFFER_CHUNK:,} offered"


def measure(pairs: int) -> list[measuring.Figure]:
    tenant = make_tenant("bench")
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    group = fleets.make_fleet(tenant, VEHICLES, old)
    make_bare_table()

    def ours() -> measuring.Rates:
        with transaction.atomic():
            campaign = make_approved(tenant=tenant, old=old, release=new, group=group)
            started = seconds(lambda: operations.start_campaign(campaign, by="bench", at=NOON))
            opened = seconds(lambda: operations.advance_campaign(campaign.pk, at=NOON))
            check(campaign.assignments.filter(wave__state="open").count() == VEHICLES)
            check(Attempt.objects.count() == OFFER_CHUNK)
            transaction.set_rollback(True)
        return {START: VEHICLES / started, OPEN: VEHICLES / opened}

    def bare() -> measuring.Rates:
        rate = BARE_ROUNDS * VEHICLES / sum(insert_select(tenant) for _ in range(BARE_ROUNDS))
        return {START: rate, OPEN: rate}

    return measuring.figures("campaigns", ours=ours, bare=bare, pairs=pairs, goals={START: None, OPEN: None})


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def check(is_as_meant: bool) -> None:
    if not is_as_meant:
        raise RuntimeError("The campaign did something else than what was to be measured.")


def make_bare_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bare_assignment (id bigint PRIMARY KEY, campaign_id bigint NOT NULL,"
            " vehicle_id bigint NOT NULL, state varchar(20) NOT NULL, rank bigint NOT NULL)"
        )
        cursor.execute("CREATE INDEX bare_assignment_by_state ON bare_assignment (campaign_id, state, rank)")


def insert_select(tenant: Tenant) -> float:
    with transaction.atomic(), connection.cursor() as cursor:
        # A multiplication that scatters ranks as a hash would.
        taken = seconds(
            lambda: cursor.execute(
                "INSERT INTO bare_assignment SELECT id, 1, id, 'waiting', (id * 2654435761) %% 4294967296"
                f" FROM {Vehicle._meta.db_table} WHERE tenant_id = %s",
                [tenant.pk],
            )
        )
        check(cursor.rowcount == VEHICLES)
        transaction.set_rollback(True)
    return taken
