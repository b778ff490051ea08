"""`manage.py serve`, as its operator meets it: started, hit, stopped and killed."""

import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys

import pytest

from tests.processes import ROOT, Server, descendants, environment, free_port, get, is_running, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]


@pytest.fixture
def var(tmp_path):
    return tmp_path / "var"


@pytest.fixture
def server(var):
    server = Server(var, migrates=True, OTA_WEB_WORKERS=2)
    yield server
    server.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server that tests only look at."""
    server = Server(tmp_path_factory.mktemp("shared") / "var", OTA_WEB_WORKERS=2).start()
    yield server
    server.end()


def test_the_first_start_makes_an_operator_whose_token_works_and_each_stop_takes_seconds(server):
    server.start()
    token = (server.var / "operator-token").read_text().strip()
    password = (server.var / "console-password").read_text().strip()

    me = get(f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    processes = descendants(server.process.pid)
    stopped = server.stop()
    assert_stopped(stopped, processes)
    server.start()
    processes = descendants(server.process.pid)
    interrupted = server.stop(signal.SIGINT)

    assert_stopped(interrupted, processes)
    assert (me.status_code, me.json()["tenant"], me.json()["role"]) == (200, "default", "administrator")
    assert server.said().count(token) == 1
    assert server.said().count(password) == 1
    assert server.said().count("are for trying only") == 2
    assert (server.var / "operator-token").read_text().strip() == token


def test_secrets_are_for_the_owner_alone(shared):
    kept = ["operator-token", "console-password", "secrets.json"]

    assert [stat.S_IMODE((shared.var / name).stat().st_mode) for name in kept] == [0o600] * 3


def test_every_part_answers(shared):
    ready = wait_for(lambda: whole(get(f"{shared.url}/readyz?strict")), seconds=40, what="its clock")
    download = get(f"http://127.0.0.1:{shared.port + 1}/healthz")
    style = get(f"{shared.url}/static/unfold/css/styles.css")
    login = get(f"{shared.url}/console/login/")

    assert ready == {"status": "ready"} | dict.fromkeys(("database", "migrations", "disk", "redis", "beat"), "ok")
    assert (download.status_code, download.text) == (200, "ok\n")
    assert (style.status_code, style.headers["content-type"]) == (200, 'text/css; charset="utf-8"')
    assert (login.status_code, "Log in" in login.text) == (200, True)


def whole(answer):
    return answer.json() if answer.status_code == 200 else None


def assert_stopped(stopped, processes):
    code, seconds = stopped
    assert code == 0
    assert seconds < 6
    assert len(processes) >= 9
    assert [pid for pid in processes if is_running(pid)] == []


def test_when_it_is_killed_its_processes_end_and_a_new_one_starts_where_it_stopped(var):
    server = Server(var)
    try:
        kill_and_start_again(server)
    finally:
        server.end()


def kill_and_start_again(server):
    server.start()
    processes = descendants(server.process.pid)
    token = (server.var / "operator-token").read_text()

    server.stop(signal.SIGKILL)

    wait_for(lambda: not any(is_running(pid) for pid in processes), seconds=10, what="the end of every child")
    server.start()
    assert (server.var / "operator-token").read_text() == token


@pytest.mark.parametrize(
    "words", [["wsgi"], ["rsgi"], ["celery", "worker"], ["celery", "beat"], ["redis-server"], ["janitor"]]
)
def test_a_process_that_is_killed_is_started_again(shared, words):
    server = shared
    killed = server.child(*words)
    group = {pid for pid in descendants(server.process.pid) if _group(pid) == killed}

    os.kill(killed, signal.SIGKILL)

    wait_for(lambda: server.child(*words) not in (None, killed), what=f"another {words}")
    wait_for(server.is_ready)
    assert [pid for pid in group if is_running(pid)] == []


def test_a_killed_web_worker_is_replaced(shared):
    web = shared.child("wsgi")
    killed = min(descendants(web))

    os.kill(killed, signal.SIGKILL)

    wait_for(lambda: len([pid for pid in descendants(web) if is_running(pid)]) == 2, what="two web workers")
    # What the killed one had accepted is reset; what comes after that is answered.
    wait_for(shared.is_ready, what="an answer of the new worker")


def refused_start(var, port, **more):
    return subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env=environment(var, OTA_PORT=port, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_second_server_on_the_same_folder_is_refused_with_who_holds_it(shared):
    second = refused_start(shared.var, free_port())

    assert second.returncode == 1
    assert second.stderr == (
        f"CommandError: A server runs on {shared.var} already (pid {shared.process.pid}, port {shared.port}). "
        "Stop it first, or set OTA_VAR to another folder.\n"
    )
    wait_for(shared.is_ready, what="the first server, undisturbed")


def test_a_server_without_web_processes_does_not_start(var):
    refused = refused_start(var, free_port(), OTA_WEB_WORKERS=0)

    assert (refused.returncode, refused.stderr) == (1, "CommandError: OTA_WEB_WORKERS is 0: at least 1.\n")
    assert not (var / "db.sqlite3").exists()


@pytest.mark.parametrize("value", ["none", "0", "65536", "-1"])
def test_what_is_no_port_is_refused(var, value):
    refused = refused_start(var, free_port(), OTA_DOWNLOAD_PORT=value)

    assert refused.returncode == 1
    assert refused.stderr == f"CommandError: OTA_DOWNLOAD_PORT is '{value}': a port is a number from 1 to 65535.\n"


@pytest.mark.parametrize(("offset", "variable"), [(0, "OTA_PORT"), (1, "OTA_DOWNLOAD_PORT")])
def test_a_taken_port_is_named_before_anything_is_made(var, offset, variable):
    port = free_port()
    with socket.create_server(("127.0.0.1", port + offset)):
        refused = refused_start(var, port)

    assert refused.returncode == 1
    assert refused.stderr == (
        f"CommandError: 127.0.0.1:{port + offset} cannot be used (Address already in use). "
        f"Choose another port with {variable}.\n"
    )
    assert not (var / "db.sqlite3").exists()


def test_each_process_has_a_log_of_its_own(shared):
    assert sorted(path.name for path in (shared.var / "log").iterdir()) == [
        "beat.log",
        "downloads.log",
        "redis.log",
        "web.log",
        "worker.log",
    ]


def test_the_database_is_in_write_ahead_mode(shared):
    with sqlite3.connect(shared.var / "db.sqlite3") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_an_address_that_nobody_serves_is_a_problem_document(shared):
    answer = get(f"{shared.url}/api/v1/nothing")

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "resource.not_found",
        "detail": "There is nothing at /api/v1/nothing.",
    }


def _group(pid):
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
