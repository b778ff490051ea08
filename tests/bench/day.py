"""A day in the life of a server: vehicles, a campaign from its start to its end, people who look, the clock's ticks."""

import contextlib
import re
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import setup_test_environment
from rich.table import Table

from firmware_store import tasks as store_tasks
from otaserver import clock
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.models import Attempt, Campaign
from otaserver.campaigns.operations import VehicleReport
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from otaserver.events import operations as events
from otaserver.fleet import tasks as fleet_tasks
from otaserver.privacy import tasks as privacy_tasks
from otaserver.tenants import operations as tenants
from otaserver.tenants.models import Tenant, User
from otaserver.tenants.states import Role
from tests.bench import fleets
from tests.campaigns.campaign_factories import make_running, make_versions, tick
from tests.clients.vehicle.test_real_server import Road
from tests.factories import NOON, make_tenant
from tests.operator_api.test_every_list import Everything, lists
from tests.vehicle_api.conftest import Clock

PAGES = 120
_LINK = re.compile(rb'href="(/console/[^"#]*)"')


def live(count: int) -> None:
    """Let it all happen once."""
    setup_test_environment()
    settings.WHITENOISE_AUTOREFRESH = True
    source = Clock()
    with clock.using(source), tempfile.TemporaryDirectory() as folder:
        _one_real_vehicle(Path(folder), source)
        tenant = make_tenant("bench")
        campaign = _campaign(tenant, count, source)
        _people(tenant)
        _ticks(source)
        tick(campaign, source.now)


def _one_real_vehicle(folder: Path, source: Clock) -> None:
    road = Road(folder, source)
    road.agent.run_once()
    road.start_campaign()
    for hours in (0, 9, 20):
        source.advance(hours=hours)
        store_tasks.refresh_metadata()
        road.agent.run_once()


def _campaign(tenant: Tenant, count: int, source: Clock) -> Campaign:
    """Every vehicle downloads, installs and says so; one of fifty fails."""
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    group = fleets.make_fleet(tenant, count, old)
    campaign = make_running(tenant=tenant, old=old, release=new, group=group, waves=(20, 100))
    for _ in range(3):
        open_attempts = Attempt.objects.filter(assignment__campaign=campaign, closed_at=None)
        for number, attempt in enumerate(open_attempts.select_related("vehicle__tenant")):
            _follow(attempt, fails=number % 50 == 7, source=source)
        source.advance(hours=9)
        tick(campaign, source.now)
        campaigns.lapse_due(source.now)
    campaigns.sweep(source.now)
    return campaign


def _follow(attempt: Attempt, *, fails: bool, source: Clock) -> None:
    phases: Sequence[tuple[str, str]] = [
        (ReportPhase.DOWNLOADING, ReportOutcome.NONE),
        (ReportPhase.INSTALLING, ReportOutcome.NONE),
        (ReportPhase.FINISHED, ReportOutcome.FAILURE if fails else ReportOutcome.SUCCESS),
    ]
    for phase, outcome in phases:
        report = VehicleReport(
            attempt.pk, uuid.uuid4().hex, phase, outcome=outcome, code="install_failed" if fails else ""
        )
        campaigns.record_report(attempt.vehicle, report, can_prove=False, at=source.now)


def _people(tenant: Tenant) -> None:
    """Every list of the API, and the pages of the console that its links lead to."""
    rows = Everything(make_tenant("lists"))
    for _ in range(3):
        rows.grow()
    for owner in (rows.tenant, tenant):
        token = tenants.issue_service_token(owner, name="day", role=Role.ADMINISTRATOR, by="day", at=NOON)
        for path in lists():
            with contextlib.suppress(KeyError):
                Client().get(f"/api/v1{rows.address(path)}", headers={"Authorization": f"Bearer {token}"})
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(User.objects.create_superuser("day", password=uuid.uuid4().hex))
    _crawl(client)


def _crawl(client: Client) -> None:
    waiting, seen = ["/console/"], {"/console/"}
    while waiting and len(seen) < PAGES:
        answer = client.get(waiting.pop(0), follow=True, secure=True)
        for link in _LINK.findall(getattr(answer, "content", b"")):
            address = link.decode().replace("&amp;", "&")
            if address not in seen and "logout" not in address:
                seen.add(address)
                waiting.append(address)


def _ticks(source: Clock) -> None:
    source.advance(days=1)
    for task in (
        store_tasks.refresh_metadata,
        store_tasks.watch_expiry,
        fleet_tasks.expire_claims,
        fleet_tasks.expire_watches,
        privacy_tasks.prune_records,
        privacy_tasks.remove_orphans,
    ):
        task()
    for tenant in Tenant.objects.all():
        while events.publish(tenant, at=source.now):
            pass


def report(count: int) -> Iterator[Table]:
    """Yield tables: unused indexes, tables read without one, and how large rows are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()") if connection.pg_version >= 150000 else None
        cursor.execute("SELECT pg_stat_clear_snapshot()")
    yield _table(
        "indexes that nobody used (unique ones are constraints)",
        "SELECT s.relname, s.indexrelname, i.indisunique, pg_relation_size(s.indexrelid) FROM pg_stat_user_indexes s"
        " JOIN pg_index i USING (indexrelid) JOIN pg_stat_user_tables t ON t.relid = s.relid"
        " WHERE s.idx_scan = 0 AND NOT i.indisprimary AND t.n_live_tup > 0 ORDER BY 3, 1, 2",
    )
    yield _table(
        "tables read whole although that was dear",
        "SELECT relname, seq_scan, seq_tup_read, idx_scan, n_live_tup FROM pg_stat_user_tables"
        " WHERE seq_scan > 0 AND n_live_tup > 20 ORDER BY seq_tup_read DESC LIMIT 25",
    )
    yield _table(
        "writes: how many updates moved no index entry",
        "SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del, n_dead_tup, pg_total_relation_size(relid),"
        f" pg_total_relation_size(relid) / {count} FROM pg_stat_user_tables WHERE n_tup_upd + n_tup_ins > {count} / 2"
        " ORDER BY n_tup_upd DESC, 1",
    )


def _table(title: str, query: str) -> Table:
    with connection.cursor() as cursor:
        cursor.execute(query)
        made = Table(*[column.name for column in cursor.description], title=title, title_justify="left")
        for row in cursor.fetchall():
            made.add_row(*map(str, row))
    return made
