"""A vehicle's report of an attempt, stored and judged, against the INSERT of its row alone."""

import time
import uuid
from collections.abc import Sequence

from django.db import connection, transaction

from otaserver.campaigns import operations
from otaserver.campaigns.models import Attempt, Report
from otaserver.campaigns.operations import VehicleReport
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from tests.bench import fleets, measuring
from tests.campaigns.campaign_factories import make_running, make_versions
from tests.factories import NOON, make_tenant

VEHICLES = 300
BATCH_SIZE = 100
EACH = "one at a time, against single INSERTs"
BATCHED = f"one at a time, against INSERTs of {BATCH_SIZE} rows"


def measure(pairs: int) -> list[measuring.Figure]:
    attempts = make_attempts()

    def ours() -> measuring.Rates:
        started = time.perf_counter()
        for attempt in attempts:
            operations.record_report(attempt.vehicle, progress_report(attempt), can_prove=True, at=NOON)
        rate = len(attempts) / (time.perf_counter() - started)
        return {EACH: rate, BATCHED: rate}

    def bare() -> measuring.Rates:
        single, batched = bare_rows(attempts, 1_000), bare_rows(attempts, 10_000)
        return {EACH: inserted_per_second(single, 1), BATCHED: inserted_per_second(batched, BATCH_SIZE)}

    ours()  # after the first report of each, all are alike
    # The goal was set for PostgreSQL; SQLite has no round trip that a batch would save.
    goals = {EACH: None, BATCHED: 0.3 if connection.vendor == "postgresql" else None}
    return measuring.figures("reports", ours=ours, bare=bare, pairs=pairs, goals=goals)


def make_attempts() -> list[Attempt]:
    """One open attempt each of the vehicles of a running campaign."""
    tenant = make_tenant("bench")
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    make_running(tenant=tenant, old=old, release=new, group=fleets.make_fleet(tenant, VEHICLES, old))
    return list(Attempt.objects.select_related("vehicle"))


def progress_report(attempt: Attempt) -> VehicleReport:
    ecu = f"{attempt.vehicle.vehicle_id}-0"
    return VehicleReport(
        attempt.pk, uuid.uuid4().hex, ReportPhase.DOWNLOADING, ecu_serial=ecu, progress=50, device_time=NOON
    )


def bare_rows(attempts: Sequence[Attempt], count: int) -> list[list[object]]:
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


def inserted_per_second(rows: Sequence[list[object]], size: int) -> float:
    """Insert the rows, so many with each statement, and each statement a transaction."""
    columns = ", ".join(field.column for field in stored_fields())
    places = f"({', '.join(['%s'] * len(stored_fields()))})"
    statement = f"INSERT INTO {Report._meta.db_table} ({columns}) VALUES {', '.join([places] * size)}"
    started = time.perf_counter()
    with connection.cursor() as cursor:
        for start in range(0, len(rows), size):
            values = [value for row in rows[start : start + size] for value in row]
            with transaction.atomic():
                cursor.execute(statement, values)
    return len(rows) / (time.perf_counter() - started)
