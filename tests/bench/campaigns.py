"""A campaign over a large fleet, against one INSERT … SELECT of as many rows, and against itself over a small fleet.

Starting is held against an INSERT … SELECT into the very same table (its keys, indexes and constraints, all checked
before the clock stops) and into a bare one with a primary key and an index. A tick over the large fleet is held against
the same tick over a small one. Every run is rolled back, so that all start from the same rows.

BENCH_VEHICLES says how large the large fleet is, from 10000 on: 1000000 is what the goals were set for, on PostgreSQL.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from firmware_store.models import Release
from otaserver.campaigns import operations
from otaserver.campaigns.models import Assignment, Attempt, Campaign, Wave
from otaserver.campaigns.operations.offers import OFFER_CHUNK
from otaserver.campaigns.operations.turns import TAKE_CHUNK
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet.models import Group, Vehicle
from otaserver.tenants.models import Tenant
from tests.bench import fleets, measuring
from tests.campaigns.campaign_factories import make_approved, make_versions
from tests.factories import NOON, make_tenant

SMALL = 10_000
OUTCOMES = 1_000
OFFERED = 100
TICKS = 5
SOAKED = NOON - timedelta(hours=9)


def measure(pairs: int) -> list[measuring.Figure]:
    # Not smaller than the fleet that it is held against.
    large = measuring.fleet_size(200_000 if connection.vendor == "postgresql" else 20_000, least=SMALL)
    tenant = make_tenant("bench")
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    group = fleets.make_large_fleet(tenant, large, old)
    make_bare_table()
    is_goal = connection.vendor == "postgresql"
    return [
        *starts(tenant, old, new, group, large, pairs=pairs, is_goal=is_goal),
        *ticks(tenant, old, new, group, large, pairs=pairs, is_goal=is_goal),
    ]


def starts(
    tenant: Tenant, old: Release, new: Release, group: Group, size: int, *, pairs: int, is_goal: bool
) -> list[measuring.Figure]:
    same = f"start over {size:,} vehicles, against INSERT … SELECT into the same table"
    bare = f"start over {size:,} vehicles, against INSERT … SELECT into a bare table"
    campaign = make_approved(tenant=tenant, old=old, release=new, group=group)

    def ours() -> measuring.Rates:
        with transaction.atomic():
            fresh = Campaign.objects.get(pk=campaign.pk)
            taken = seconds(lambda: (operations.start_campaign(fresh, by="bench", at=NOON), check_constraints()))
            check(campaign.assignments.count() == size)
            transaction.set_rollback(True)
        tidy()
        return {same: size / taken, bare: size / taken}

    def theirs() -> measuring.Rates:
        rates = {same: size / insert_into_the_same(campaign, size), bare: size / insert_into_bare(tenant, size)}
        tidy()
        return rates

    goals = {same: 1 / 1.5 if is_goal else None, bare: None}
    return measuring.figures("campaigns", ours=ours, bare=theirs, pairs=pairs, goals=goals)


def ticks(
    tenant: Tenant, old: Release, new: Release, group: Group, size: int, *, pairs: int, is_goal: bool
) -> list[measuring.Figure]:
    settle = f"tick with {OUTCOMES:,} new outcomes, {size:,} vehicles against {SMALL:,}"
    opening = f"tick that opens a wave of all, {size:,} vehicles against {SMALL:,}"
    other = make_tenant("bench-small")
    small_old, small_new = make_versions(other), make_versions(other, "2.0")
    small_group = fleets.make_large_fleet(other, SMALL, small_old)
    opens = [
        started(tenant, old, new, group, "opens"),
        started(other, small_old, small_new, small_group, "opens"),
    ]
    settles = [
        under_way(started(tenant, old, new, group, "settles"), size),
        under_way(started(other, small_old, small_new, small_group, "settles"), SMALL),
    ]
    tidy()

    def side(number: int) -> Callable[[], measuring.Rates]:
        def run() -> measuring.Rates:
            settled = sum(settling(settles[number]) for _ in range(TICKS))
            return {settle: TICKS / settled, opening: 1 / opened(opens[number])}

        return run

    goals = {settle: 1 / 1.3 if is_goal else None, opening: None}
    return measuring.figures("campaigns", ours=side(0), bare=side(1), pairs=pairs, goals=goals)


def started(tenant: Tenant, old: Release, new: Release, group: Group, name: str) -> Campaign:
    campaign = make_approved(tenant=tenant, old=old, release=new, group=group, name=name, max_in_flight=OFFERED + 1)
    operations.start_campaign(campaign, by="bench", at=NOON)
    return campaign


def under_way(campaign: Campaign, size: int) -> Campaign:
    """Half of the vehicles have succeeded, one is offered the release, some end their soak now, the others wait."""
    wave = campaign.waves.get()
    Wave.objects.filter(pk=wave.pk).update(state="open", opened_at=SOAKED, untaken=0)
    rows = campaign.assignments.all()
    rows.update(wave=wave)
    by_rank = list(rows.order_by("rank").values_list("rank", flat=True)[size // 2 :: max(size // 2 - 1, 1)])
    begun = {"offered_at": SOAKED, "installing_at": SOAKED}
    rows.filter(rank__lt=by_rank[0]).update(
        state=AssignmentState.SUCCEEDED, is_judged=True, settled_at=NOON - timedelta(hours=1), **begun
    )
    waiting = rows.filter(state=AssignmentState.WAITING).order_by("rank").values_list("pk", flat=True)
    soaking, offered = list(waiting[:OUTCOMES]), waiting[OUTCOMES]
    rows.filter(pk__in=soaking).update(state=AssignmentState.SOAKING, due_at=NOON, **begun)
    rows.filter(pk=offered).update(
        state=AssignmentState.OFFERED, offered_at=NOON, due_at=NOON + timedelta(days=14), installing_at=None
    )
    return campaign


def settling(campaign: Campaign) -> float:
    with transaction.atomic():
        taken = seconds(lambda: operations.advance_campaign(campaign.pk, at=NOON))
        check(campaign.gate_states.get(stratum="").successes == OUTCOMES)
        check(campaign.assignments.filter(state=AssignmentState.OFFERED).count() == OFFERED + 1)
        transaction.set_rollback(True)
    return taken


def opened(campaign: Campaign) -> float:
    with transaction.atomic():
        taken = seconds(lambda: operations.advance_campaign(campaign.pk, at=NOON))
        check(Assignment.objects.filter(wave__campaign=campaign).count() == TAKE_CHUNK)
        check(Attempt.objects.filter(assignment__campaign=campaign).count() == min(OFFERED + 1, OFFER_CHUNK))
        transaction.set_rollback(True)
    return taken


def seconds(work: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def check(is_as_meant: bool) -> None:
    if not is_as_meant:
        raise RuntimeError("The campaign did something else than what was to be measured.")


def check_constraints() -> None:
    """Have foreign keys checked now: they wait for a commit that never comes."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def tidy() -> None:
    """Clear away what was rolled back, so that no run pays for those before it."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def make_bare_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bare_assignment (id bigint PRIMARY KEY, campaign_id bigint NOT NULL,"
            " vehicle_id bigint NOT NULL, state varchar(20) NOT NULL, rank bigint NOT NULL)"
        )
        cursor.execute("CREATE INDEX bare_assignment_by_state ON bare_assignment (campaign_id, state, rank)")


def insert_into_bare(tenant: Tenant, size: int) -> float:
    # A multiplication that scatters ranks as a hash would.
    return insert_select(
        "INSERT INTO bare_assignment SELECT id, 1, id, 'waiting', (id * 2654435761) % 4294967296"
        f" FROM {Vehicle._meta.db_table} WHERE tenant_id = {tenant.pk}",
        size,
    )


def insert_into_the_same(campaign: Campaign, size: int) -> float:
    """The plainest statement that writes as many rows of the same columns: every value but the vehicle's is at hand."""
    scattered = {"vehicle": "v.id", "rank": "(v.id * 2654435761) % 4294967296", "configuration": "v.configuration_id"}
    fields = [field for field in Assignment._meta.concrete_fields if not field.primary_key]
    row = Assignment(campaign=campaign, stratum="brake+gateway")
    values = {field.name: scattered.get(field.name) or literal(row, field) for field in fields}
    return insert_select(
        f"INSERT INTO {Assignment._meta.db_table} ({', '.join(field.column for field in fields)})"
        f" SELECT {', '.join(values[field.name] for field in fields)} FROM {Vehicle._meta.db_table} v"
        f" WHERE v.tenant_id = {campaign.tenant_id}",
        size,
    )


def literal(row: Assignment, field: Any) -> str:
    value = field.get_db_prep_save(getattr(row, field.attname), connection)
    if value is None or isinstance(value, bool):
        return str(value).upper().replace("NONE", "NULL")
    return str(value) if isinstance(value, int) else f"'{value}'"


def insert_select(statement: str, size: int) -> float:
    with transaction.atomic(), connection.cursor() as cursor:
        taken = seconds(lambda: (cursor.execute(statement), check_constraints()))
        transaction.set_rollback(True)
    return taken
