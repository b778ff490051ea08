"""The same code in production: PostgreSQL, a Redis of its own, secrets from the environment, nothing made by itself."""

import subprocess
import sys

import pytest

from tests.processes import ROOT, Server, environment, get

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.postgresql]


@pytest.fixture
def production(database_url, redis_url, tmp_path):
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "OTA_STORAGE_URL": f"file://{tmp_path / 'blobs'}",
        "OTA_SECRET_KEY": "secret",
        "OTA_URL_SECRET": "another secret",
        "OTA_ONLINE_KEYS": str(tmp_path / "keys"),
        "OTA_ALLOWED_HOSTS": "127.0.0.1",
    }


def manage(var, production, *arguments):
    command = [sys.executable, "manage.py", *arguments]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment(var, **production), capture_output=True, text=True, timeout=120, check=True
    )
    return ran.stdout.strip()


def test_the_server_runs_on_postgresql_and_makes_nothing_by_itself(production, tmp_path):
    var = tmp_path / "var"
    (tmp_path / "keys").mkdir(mode=0o700)
    manage(var, production, "migrate")
    manage(var, production, "create_tenant", "north")
    token = manage(var, production, "create_token", "north", "ci", "administrator")
    server = Server(var, **production)
    try:
        server.start()
        me = get(f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        logs = sorted(path.name for path in (var / "log").iterdir())
        code, _ = server.stop()
    finally:
        server.end()

    assert (me.status_code, me.json()["tenant"]) == (200, "north")
    assert logs == ["beat.log", "downloads.log", "web.log", "worker.log"]
    assert code == 0
    assert not (var / "operator-token").exists()
    assert not (var / "db.sqlite3").exists()
    assert "trying only" not in server.said()
