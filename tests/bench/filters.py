"""Previews of filters of every form over a large fleet, against reading as many vehicles by primary key.

On PostgreSQL only: SQLite answers a filter by going through the vehicles of a tenant. OTA_TEST_VEHICLES makes the fleet
smaller, for trying.
"""

import os
import time

from django.db import connection

from otaserver.fleet import queries
from otaserver.fleet.models import Vehicle
from tests.bench import measuring
from tests.factories import make_tenant
from tests.fleet.filters.large_fleet import FORMS, make_large_fleet

VEHICLES = int(os.environ.get("OTA_TEST_VEHICLES", "1000000"))
# Those that no index answers, for whoever wants to know what they cost.
THROUGH_ALL = {"contains": 'vehicle_id ~ "0777"', "negative": 'ecu.version != "7"', "nearly all": "blocked = False"}


def measure(pairs: int) -> list[measuring.Figure]:
    if connection.vendor != "postgresql":
        return []
    tenant = make_tenant("bench")
    make_large_fleet(tenant, VEHICLES)
    forms = {f"{form} of {VEHICLES:,}": text for form, text in (FORMS | THROUGH_ALL).items()}
    matching = {
        form: list(queries.vehicles_matching(tenant, text).order_by().values_list("pk", flat=True)[:10_001])
        for form, text in forms.items()
    }

    def ours() -> measuring.Rates:
        return {form: 1 / seconds_of_preview(tenant, text) for form, text in forms.items()}

    def bare() -> measuring.Rates:
        return {form: 1 / seconds_by_key(found) for form, found in matching.items()}

    for form, text in forms.items():
        print(f"{form}: {seconds_of_preview(tenant, text) * 1000:.1f} ms, {len(matching[form])} vehicles")  # noqa: T201
    return measuring.figures("filters", ours=ours, bare=bare, pairs=pairs, goals=dict.fromkeys(forms))


def seconds_of_preview(tenant, text) -> float:
    started = time.perf_counter()
    queries.preview(tenant, text)
    return time.perf_counter() - started


def seconds_by_key(keys: list[int]) -> float:
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT vehicle_id FROM {Vehicle._meta.db_table} WHERE id = ANY(%s)", [keys])
        cursor.fetchall()
    return time.perf_counter() - started
