"""Vehicles' reports of their attempts, stored and judged, against the INSERT of their rows alone.

A vehicle reports every ten seconds for a minute, as one does that downloads. Its due time is judged with each report,
and written once a minute.

Of a hundred at a time there are two baselines: INSERTs with a place for each value, as anybody writes them, which cost
the driver more than the database; and INSERTs as ours, of rows that come as one JSON text, the fastest known here. What
a baseline has inserted is deleted again, and was of other vehicles: with each of ours the reports of its attempt are
counted, and dead rows would be counted with them.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import close_old_connections, connection, transaction

from otaserver.campaigns import operations
from otaserver.campaigns.models import Attempt, Report
from otaserver.campaigns.operations import Told, VehicleReport, json_rows
from otaserver.campaigns.states import ReportOutcome, ReportPhase
from otaserver.embedded.programs import WEB_THREADS
from tests.bench import fleets, measuring
from tests.campaigns.campaign_factories import make_running, make_versions
from tests.factories import NOON, make_tenant

VEHICLES = 300
BATCH_SIZE = 100
INTERVAL = timedelta(seconds=10)
BATCHED = f"{BATCH_SIZE} at a time, against INSERTs of {BATCH_SIZE} rows"
FASTEST = f"{BATCH_SIZE} at a time, against the fastest INSERTs of {BATCH_SIZE} rows"
TOGETHER = f"by {WEB_THREADS} requests at a time, against INSERTs of {WEB_THREADS} rows"
EACH = "one at a time, against single INSERTs"

Rows = Sequence[dict[str, object]]
Insertion = tuple[str, list[object]]


def measure(pairs: int) -> list[measuring.Figure]:
    attempts, others = make_attempts()
    now = NOON

    def ours() -> measuring.Rates:
        nonlocal now
        rates = {}
        for case, record in ((BATCHED, record_batches), (TOGETHER, record_by_threads), (EACH, record_each)):
            reporting = attempts[: VEHICLES // 6] if case == EACH else attempts
            reports = [told(attempt, now + number * INTERVAL) for number in range(6) for attempt in reporting]
            now += 6 * INTERVAL
            rates[case] = per_second(record, reports)
        return rates | {FASTEST: rates[BATCHED]}

    def bare() -> measuring.Rates:
        return {
            BATCHED: inserted_per_second(bare_rows(others, 6_000), BATCH_SIZE, by_values),
            FASTEST: inserted_per_second(bare_rows(others, 6_000), BATCH_SIZE, by_text),
            TOGETHER: inserted_per_second(bare_rows(others, 3_000), WEB_THREADS, by_values),
            EACH: inserted_per_second(bare_rows(others, 600), 1, by_values),
        }

    ours()  # after the first report of each, all are alike
    # The goal was set for PostgreSQL; SQLite has no round trip that a batch would save.
    goals = {BATCHED: 0.3 if connection.vendor == "postgresql" else None, FASTEST: None, TOGETHER: None, EACH: None}
    return measuring.figures("reports", ours=ours, bare=bare, pairs=pairs, goals=goals)


def make_attempts() -> tuple[list[Attempt], list[Attempt]]:
    """One open attempt each of the vehicles of a running campaign: of those that report, and of as many others."""
    tenant = make_tenant("bench")
    old, new = make_versions(tenant), make_versions(tenant, "2.0")
    make_running(tenant=tenant, old=old, release=new, group=fleets.make_fleet(tenant, 2 * VEHICLES, old))
    attempts = list(Attempt.objects.select_related("vehicle"))
    return attempts[:VEHICLES], attempts[VEHICLES:]


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


def bare_row(attempt: Attempt) -> dict[str, object]:
    return {
        "attempt_id": attempt.pk.hex,
        "report_id": uuid.uuid4().hex,
        "ecu_serial": f"{attempt.vehicle.vehicle_id}-0",
        "phase": ReportPhase.DOWNLOADING,
        "outcome": ReportOutcome.NONE,
        "code": "",
        "message": "",
        "progress": 50,
        "measured": {},
        "device_time": NOON,
        "received_at": NOON,
    }


def inserted_per_second(rows: Rows, size: int, insertion: Callable[[Rows], Insertion]) -> float:
    """Insert the rows, so many with each statement, and each statement a transaction; then remove them."""
    started = time.perf_counter()
    with connection.cursor() as cursor:
        for start in range(0, len(rows), size):
            with transaction.atomic():
                cursor.execute(*insertion(rows[start : start + size]))
    rate = len(rows) / (time.perf_counter() - started)
    Report.objects.filter(report_id__in=[row["report_id"] for row in rows]).delete()
    return rate


def by_values(rows: Rows) -> Insertion:
    places = f"({', '.join(['%s'] * len(rows[0]))})"
    statement = f"INSERT INTO {Report._meta.db_table} ({', '.join(rows[0])}) VALUES {', '.join([places] * len(rows))}"
    return statement, [value if name != "measured" else "{}" for row in rows for name, value in row.items()]


def by_text(rows: Rows) -> Insertion:
    names = ", ".join(rows[0])
    columns = {name: str(Report._meta.get_field(name).db_type(connection)) for name in rows[0]}
    statement = f"INSERT INTO {Report._meta.db_table} ({names}) SELECT {names} FROM {json_rows.table(columns)}"
    return statement, [json_rows.text(rows)]
