"""Vehicles' reports of their attempts, stored and judged, against the INSERT of their rows alone.

A vehicle reports every ten seconds, as one does that downloads. Its due time is judged with each report, and written
once a minute.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import close_old_connections, connection, transaction

from otaserver.campaigns import operations
from otaserver.campaigns.models import Attempt, Report
from otaserver.campaigns.operations import Told, VehicleReport
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from otaserver.embedded.programs import WEB_THREADS
from tests.bench import fleets, measuring
from tests.campaigns.campaign_factories import make_running, make_versions
from tests.factories import NOON, make_tenant

VEHICLES = 300
BATCH_SIZE = 100
INTERVAL = timedelta(seconds=10)
BATCHED = f"{BATCH_SIZE} at a time, against INSERTs of {BATCH_SIZE} rows"
TOGETHER = f"by {WEB_THREADS} requests at a time, against INSERTs of {WEB_THREADS} rows"
EACH = "one at a time, against single INSERTs"

Rows = Sequence[list[object]]


def measure(pairs: int) -> list[measuring.Figure]:
    attempts = make_attempts()
    now = NOON

    def ours() -> measuring.Rates:
        nonlocal now
        rates = {}
        for case, record in ((BATCHED, record_batches), (TOGETHER, record_by_threads), (EACH, record_each)):
            now += INTERVAL
            rates[case] = per_second(record, [told(attempt, now) for attempt in attempts])
        return rates

    def bare() -> measuring.Rates:
        return {
            BATCHED: inserted_per_second(bare_rows(attempts, 6_000), BATCH_SIZE),
            TOGETHER: inserted_per_second(bare_rows(attempts, 3_000), WEB_THREADS),
            EACH: inserted_per_second(bare_rows(attempts, 600), 1),
        }

    ours()  # after the first report of each, all are alike
    # The goal was set for PostgreSQL; SQLite has no round trip that a batch would save.
    goals = {BATCHED: 0.3 if connection.vendor == "postgresql" else None, TOGETHER: None, EACH: None}
    return measuring.figures("reports", ours=ours, bare=bare, pairs=pairs, goals=goals)


def make_attempts() -> list[Attempt]:
    """One open attempt each of the vehicles of a running campaign."""
    tenant = make_tenant("bench")
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    make_running(tenant=tenant, old=old, release=new, group=fleets.make_fleet(tenant, VEHICLES, old))
    return list(Attempt.objects.select_related("vehicle"))


def told(attempt: Attempt, at: datetime) -> Told:
    ecu = f"{attempt.vehicle.vehicle_id}-0"
    said = VehicleReport(
        attempt.pk, uuid.uuid4().hex, ReportPhase.DOWNLOADING, ecu_serial=ecu, progress=50, device_time=NOON
    )
    return Told(attempt.vehicle, said, can_prove=True, at=at)


def per_second(record: Callable[[Sequence[Told]], None], reports: Sequence[Told]) -> float:
    started = time.perf_counter()
    record(reports)
    return len(reports) / (time.perf_counter() - started)


def record_batches(reports: Sequence[Told]) -> None:
    for start in range(0, len(reports), BATCH_SIZE):
        check(operations.record_together(reports[start : start + BATCH_SIZE]))


def record_each(reports: Sequence[Told]) -> None:
    for one in reports:
        check(operations.record_together([one]))


def record_by_threads(reports: Sequence[Told]) -> None:
    """Bring them as the threads of a web process do: each its own, one after the other, and none before its answer."""
    failures = []

    def bring(own: Sequence[Told]) -> None:
        try:
            record_each(own)
        except Exception as error:
            failures.append(error)
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=bring, args=(reports[number::WEB_THREADS],)) for number in range(WEB_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def check(refusals: Sequence[Exception | None]) -> None:
    for refusal in refusals:
        if refusal is not None:
            raise refusal


def bare_rows(attempts: Sequence[Attempt], count: int) -> Rows:
    return [bare_row(attempts[number % VEHICLES]) for number in range(count)]


def bare_row(attempt: Attempt) -> list[object]:
    report = Report(
        attempt=attempt,
        report_id=uuid.uuid4().hex,
        ecu_serial=f"{attempt.vehicle.vehicle_id}-0",
        phase=ReportPhase.DOWNLOADING,
        outcome=ReportOutcome.NONE,
        progress=50,
        device_time=NOON,
        received_at=NOON,
    )
    return [field.get_db_prep_save(getattr(report, field.attname), connection) for field in stored_fields()]


def stored_fields():
    return [field for field in Report._meta.concrete_fields if not field.primary_key]


def inserted_per_second(rows: Rows, size: int) -> float:
    """Insert the rows, so many with each statement, and each statement a transaction; then remove them."""
    columns = ", ".join(field.column for field in stored_fields())
    places = f"({', '.join(['%s'] * len(stored_fields()))})"
    statement = f"INSERT INTO {Report._meta.db_table} ({columns}) VALUES {', '.join([places] * size)}"
    started = time.perf_counter()
    with connection.cursor() as cursor:
        for start in range(0, len(rows) - len(rows) % size, size):
            values = [value for row in rows[start : start + size] for value in row]
            with transaction.atomic():
                cursor.execute(statement, values)
    rate = (len(rows) - len(rows) % size) / (time.perf_counter() - started)
    # Those that an attempt has are counted with each report, and it may have a thousand.
    Report.objects.filter(report_id__in=[row[1] for row in rows]).delete()
    return rate
