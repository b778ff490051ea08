"""The whole database into a file and back: SQLite by its own copying, PostgreSQL by its own programs."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection, connections
from psycopg.conninfo import make_conninfo

from otaserver.recovery.errors import ServerRunningError, StandbyError, ToolFailedError

# What the file is called tells which database it is of.
FILES = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
Database = Mapping[str, Any]


def vendor(database: Database) -> str:
    return "postgresql" if database["ENGINE"].endswith("postgresql") else "sqlite"


def dump(database: Database, folder: Path) -> Path:
    """Write one moment of the database into a file of `folder`, while it is in use, and return the file.

    Raises:
        ToolFailedError: `pg_dump` is missing or has failed, or SQLite could not write.
    """
    path = folder / FILES[vendor(database)]
    if vendor(database) == "sqlite":
        _copy(Path(database["NAME"]), path)
    else:
        _run(database, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={path}")
    return path


def load(database: Database, folder: Path, *, begins: Callable[[], None]) -> None:
    """Put what `dump` wrote in the place of everything that is in the database; `begins` is called before that goes.

    Raises:
        ServerRunningError: somebody else is connected to it (PostgreSQL; on SQLite the caller holds the folder).
        StandbyError: it can only be read.
        ToolFailedError: what was written is not whole (nothing is replaced then), the database does not answer, or
            `pg_restore` is missing or has failed; repeat it then, the database may be empty.
    """
    _let_go()
    path = folder / FILES[vendor(database)]
    if vendor(database) == "sqlite":
        _require_whole(path)
        begins()
        _copy(path, Path(database["NAME"]))
        return
    # Read once to its end before anything is dropped: a copy of it may have been cut short.
    _tool("pg_restore", "--file=/dev/null", str(path))
    with _alone(database) as server:
        begins()
        # Tables that the dump does not know would be in the way of migrations.
        server.execute("DROP SCHEMA public CASCADE")
        server.execute("CREATE SCHEMA public")
    _run(database, "pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(path))


def require_alone(database: Database) -> None:
    """Look that nobody else uses the database, and that it can be written.

    Raises:
        ServerRunningError, StandbyError, ToolFailedError: as `load`.
    """
    if vendor(database) == "postgresql":
        _let_go()
        with _alone(database):
            pass


@contextmanager
def _alone(database: Database) -> Iterator[psycopg.Connection[Any]]:
    try:
        server = psycopg.connect(_conninfo(database), autocommit=True, password=database.get("PASSWORD") or None)
    except psycopg.OperationalError as error:
        raise ToolFailedError(f"The database does not answer: {str(error).strip()}") from error
    with server:
        _refuse_standby(server)
        _refuse_others(server)
        yield server


def _let_go() -> None:
    """Close what this process itself has open."""
    connections.close_all()
    if connection.vendor == "postgresql" and "pool" in connection.settings_dict["OPTIONS"]:
        connection.close_pool()  # type: ignore[attr-defined]


def _copy(source: Path, target: Path) -> None:
    # `backup` and not a copy of the file: a transaction may be under way, and a part of it in the log beside it.
    try:
        with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
            read.backup(written)
    except sqlite3.Error as error:
        raise ToolFailedError(f"{source} cannot be copied to {target}: {error}") from error


def _require_whole(path: Path) -> None:
    """SQLite copies page by page, whatever they hold, and makes an empty database of a file that is not there."""
    try:
        if not path.is_file():
            raise ToolFailedError(f"{path} is missing.")
        with closing(sqlite3.connect(path)) as read:
            found = read.execute("PRAGMA quick_check(1)").fetchone()
            tables = read.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise ToolFailedError(f"{path} is not whole: {error}.") from error
    if found != ("ok",) or tables == (0,):
        raise ToolFailedError(f"{path} is not whole: {found[0] if tables != (0,) else 'there is no table in it'}.")


def _refuse_standby(server: psycopg.Connection[Any]) -> None:
    if server.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
        raise StandbyError(
            "The database can only be read: its recovery has not ended. With recovery_target_action = 'pause', which "
            "is PostgreSQL's own default, `SELECT pg_wal_replay_resume()` ends it."
        )


def _refuse_others(server: psycopg.Connection[Any]) -> None:
    others = server.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    ).fetchone()
    if others and others[0]:
        raise ServerRunningError(
            f"{others[0]} other connections use the database: stop web, worker and beat on all hosts first.",
            connections=others[0],
        )


def _conninfo(database: Database) -> str:
    options = {name: value for name, value in database.get("OPTIONS", {}).items() if name != "pool"}
    given = {"host": database["HOST"], "port": database["PORT"], "user": database["USER"], "dbname": database["NAME"]}
    return make_conninfo("", **{name: value for name, value in (given | options).items() if value})


def _run(database: Database, program: str, *arguments: str) -> None:
    _tool(program, *arguments, f"--dbname={_conninfo(database)}", password=str(database.get("PASSWORD") or ""))


def _tool(program: str, *arguments: str, password: str = "") -> None:
    found = shutil.which(program)
    if found is None:
        raise ToolFailedError(f"{program} is not installed (Debian: apt-get install postgresql-client).")
    # Not among the arguments, which everybody on this host may read.
    environment = os.environ | ({"PGPASSWORD": password} if password else {})
    ended = subprocess.run([found, *arguments], env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ToolFailedError(f"{program} has failed: {ended.stderr.strip()[-500:]}")
