"""Where a bench runs: the server's real settings, in a folder and a database of their own, gone afterwards."""

import importlib
import os
import secrets
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import psycopg
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql

from tests import postgresql
from tests.bench.measuring import Figure


def run(name: str, pairs: int) -> tuple[list[Figure], str]:
    """Run one bench and return its figures and what database it ran on. Once per process: settings are read once."""
    with open_stage() as database:
        # Only here: models can be imported once the settings are known.
        bench = importlib.import_module(f"tests.bench.{name}")
        return bench.measure(pairs), database


@contextmanager
def open_stage() -> Iterator[str]:
    """Set Django up on an empty database, for this process and those it starts; yield what database that is.

    OTA_TEST_DATABASE chooses `sqlite` (default: the embedded default) or `postgresql` (the production settings).
    """
    uses_postgresql = os.environ.get("OTA_TEST_DATABASE", "sqlite") == "postgresql"
    with tempfile.TemporaryDirectory(prefix="ota-bench-") as folder, _database(Path(folder), uses_postgresql) as url:
        for name in [name for name in os.environ if name.startswith("OTA_") and not name.startswith("OTA_TEST_")]:
            del os.environ[name]
        for name in ("DATABASE_URL", "REDIS_URL"):
            os.environ.pop(name, None)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "otaserver.settings",
            "OTA_VAR": str(Path(folder) / "var"),
            "OTA_LOG_LEVEL": "ERROR",
        }
        if uses_postgresql:
            os.environ |= _production(Path(folder), url)
        django.setup()
        call_command("migrate", verbosity=0)
        # As each process of the server does before it counts anything.
        importlib.import_module("otaserver.metrics").make_folder()
        try:
            yield _database_version()
        finally:
            connections.close_all()
            if uses_postgresql:
                connection.close_pool()


@contextmanager
def _database(folder: Path, uses_postgresql: bool) -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL database, or "" for SQLite."""
    if not uses_postgresql:
        yield ""
        return
    server = postgresql.url(folder)
    name = f"bench_{uuid.uuid4().hex[:12]}"
    address, _, query = server.partition("?")
    try:
        with psycopg.connect(server, autocommit=True) as administrator:
            administrator.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            yield f"{address.rpartition('/')[0]}/{name}?{query}"
            administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    finally:
        postgresql.stop()


def _production(folder: Path, database_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": f"redis+socket://{folder / 'redis.sock'}",  # nothing listens: no bench sends a task
        "OTA_STORAGE_URL": f"file://{folder / 'blobs'}",
        "OTA_SECRET_KEY": secrets.token_urlsafe(40),
        "OTA_URL_SECRET": secrets.token_urlsafe(40),
        "OTA_ONLINE_KEYS": str(folder / "online-keys"),
        "OTA_ALLOWED_HOSTS": "127.0.0.1,localhost",  # nginx asks by the one, its callers by the other
    }


def _database_version() -> str:
    if connection.vendor == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), current_setting('fsync')")
        version, fsync = cursor.fetchone()
    return f"PostgreSQL {version.split()[0]} (fsync {fsync})"
