"""A fleet that arrives: a file of a million lines taken in, against PostgreSQL's COPY of the same rows.

On PostgreSQL only. OTA_TEST_VEHICLES makes the fleet smaller, for trying. Each pair takes in a fleet of its own, whose
lines have all that a line can say for a client with a token: an ECU, the token, an attribute and a group.
"""

import io
import json
import os
import resource
import time
from itertools import count

from django.db import connection
from django.db.models import Model

from otaserver import clock
from otaserver.fleet import operations
from otaserver.fleet.models import AttributeValue, Configuration, Credential, Ecu, Group, Membership, Vehicle
from otaserver.tenants.models import Tenant
from tests.bench import measuring
from tests.factories import NOON, make_tenant

VEHICLES = int(os.environ.get("OTA_TEST_VEHICLES", "1000000"))
# Parents before what points at them.
TABLES = (Configuration, Group, Vehicle, Ecu, Credential, AttributeValue, Membership)
_fleets = count(1)


def measure(pairs: int) -> list[measuring.Figure]:
    if connection.vendor != "postgresql":
        return []
    rows: dict[type[Model], bytes] = {}

    def ours() -> measuring.Rates:
        tenant = _tenant()
        first, again = _seconds(tenant), _seconds(tenant)
        rows.update(_rows_of(tenant))
        print(f"{VEHICLES:,} lines: {first:.1f} s, again {again:.1f} s, at most {_peak():.0f} MiB")  # noqa: T201
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in TABLES)} CASCADE")
        return {f"{VEHICLES:,} new": VEHICLES / first, f"{VEHICLES:,} again": VEHICLES / again}

    def bare() -> measuring.Rates:
        rate = VEHICLES / _seconds_of_copy(rows)
        return {f"{VEHICLES:,} new": rate, f"{VEHICLES:,} again": rate}

    ours()  # what is copied are the rows that a first run wrote
    goals: dict[str, float | None] = {f"{VEHICLES:,} new": None, f"{VEHICLES:,} again": None}
    return measuring.figures("arrival", ours=ours, bare=bare, pairs=pairs, goals=goals)


def _tenant() -> Tenant:
    tenant = make_tenant(f"arrival-{next(_fleets)}")
    operations.declare_attribute(tenant, name="market", type="text", by="bench", at=NOON)
    return tenant


def _seconds(tenant: Tenant) -> float:
    row = operations.begin_import(
        tenant, _Lines(), filename="fleet.jsonl", kind="jsonl", is_dry_run=False, by="bench", at=NOON
    )
    started = time.perf_counter()
    done = operations.run_import(row.pk, now=clock.now)
    assert done is not None and done.counts["lines"] == VEHICLES and not done.counts["refused"], done
    return time.perf_counter() - started


class _Lines:
    """The file, made as it is read."""

    def __init__(self) -> None:
        self._numbers = iter(range(VEHICLES))

    def read(self, size: int, /) -> bytes:
        lines, length = [], 0
        while length < size - 1000 and (number := next(self._numbers, None)) is not None:
            lines.append(_line(number))
            length += len(lines[-1])
        return b"".join(lines)


def _line(number: int) -> bytes:
    said = {
        "vehicle_id": f"VIN{number:08}",
        "protocol": "ddi",
        "ecus": [{"serial": f"E{number:08}", "hardware_id": f"gateway-{number % 7}"}],
        "token": f"token-{number:08}",
        "attributes": {"market": f"market-{number % 40}"},
        "groups": [f"group-{number % 20}"],
    }
    return json.dumps(said).encode() + b"\n"


def _rows_of(tenant: Tenant) -> dict[type[Model], bytes]:
    """Return what the database would COPY of a tenant's rows, by model."""
    own = {Configuration: "tenant_id = %s", Group: "tenant_id = %s", Vehicle: "tenant_id = %s"}
    rest = f"vehicle_id IN (SELECT id FROM {Vehicle._meta.db_table} WHERE tenant_id = %s)"
    found = {}
    with connection.cursor() as cursor:
        for model in TABLES:
            table = model._meta.db_table
            chosen = f"SELECT {_columns(model)} FROM {table} WHERE {own.get(model, rest)}"
            with cursor.copy(f"COPY ({chosen}) TO STDOUT", [tenant.pk]) as out:
                found[model] = b"".join(bytes(part) for part in out)
    return found


def _columns(model: type[Model]) -> str:
    """Return the columns that are written: the others the database reckons itself."""
    return ", ".join(field.column for field in model._meta.concrete_fields if not field.generated)


def _seconds_of_copy(rows: dict[type[Model], bytes]) -> float:
    """Copy the rows into tables like the real ones, with their indexes and constraints."""
    tables = [model._meta.db_table for model in rows]
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"CREATE TEMPORARY TABLE copied_{table} (LIKE {table} INCLUDING ALL)")
        started = time.perf_counter()
        for model, data in rows.items():
            source = io.BytesIO(data)
            with cursor.copy(f"COPY copied_{model._meta.db_table} ({_columns(model)}) FROM STDIN") as copy:
                while part := source.read(1024 * 1024):
                    copy.write(part)
        seconds = time.perf_counter() - started
        for table in tables:
            cursor.execute(f"DROP TABLE copied_{table}")
    return seconds


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
