"""Real processes: a server of its own folder and ports, started and stopped as a person would."""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
# The processes are those of the embedded default, whatever the tests themselves run on.
_NOT_INHERITED = ("OTA_", "DJANGO_", "DATABASE_URL", "REDIS_URL", "PYTEST_", "COVERAGE_")


def environment(var, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    return kept | {"OTA_VAR": str(var), "PYTHONUNBUFFERED": "1"} | {name: str(value) for name, value in more.items()}


def free_port():
    """A port whose successor is free as well: downloads are served there.

    Below those that Linux takes for the other ends of connections, which come and go between this and a server's start.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000, 2)
        with socket.socket() as first, socket.socket() as second, suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port


def get(url, **options):
    """GET on this host. Without the certificates that httpx reads for each request: more work than the answer is."""
    return httpx.get(url, verify=False, trust_env=False, **options)


def wait_for(look, *, seconds=20.0, what=""):
    """Return what `look` returns once that is true; errors of the network count as not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError, OSError):
            found = look()
            if found:
                return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what or look}")


def parents():
    """Every process and its parent, from /proc."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def descendants(pid):
    tree, known = parents(), {pid}
    while True:
        more = {child for child, parent in tree.items() if parent in known} - known
        if not more:
            return known - {pid}
        known |= more


def command_of(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
    return ""


def is_running(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def migrated_database():
    """An SQLite file with every table and no row, made once a run."""
    made = Path(os.environ["OTA_TEST_ROOT"]) / "migrated.sqlite3"

    def make():
        folder = made.with_name("migrating")
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, cwd=ROOT, env=environment(folder), check=True)
        (folder / "db.sqlite3").replace(made)

    make_once(made, make)
    return made


def make_once(file, make):
    """Have the first of several processes make a file, and the others wait for it."""
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            make()


class Server:
    """`manage.py serve` on a folder. Unless it `migrates` itself, it finds its tables made."""

    def __init__(self, var, *arguments, port=None, migrates=False, **more):
        self.var = Path(var)
        if not migrates and "DATABASE_URL" not in more:
            self.var.mkdir(parents=True, exist_ok=True)
            shutil.copy(migrated_database(), self.var / "db.sqlite3")
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = arguments
        self._more = more
        self.output = self.var.parent / f"{self.var.name}-{self.port}.out"
        self.process = None

    def start(self, *, wait=True):
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", *self._arguments],
                cwd=ROOT,
                # One web process is up sooner than the two that are usual.
                env=environment(self.var, **{"OTA_PORT": self.port, "OTA_WEB_WORKERS": 1} | self._more),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if wait:
            wait_for(self.is_ready, seconds=120, what=f"a ready server; it said: {self.said()[-2000:]}")
        return self

    def is_ready(self):
        assert self.process.poll() is None, self.said()
        return get(f"{self.url}/readyz", timeout=5).json()["redis"] == "ok"

    def said(self):
        return self.output.read_text() if self.output.exists() else ""

    def child(self, *words):
        """The one direct child whose command has all these words."""
        children = [pid for pid, parent in parents().items() if parent == self.process.pid]
        found = [pid for pid in children if all(word in command_of(pid) for word in words)]
        return found[0] if len(found) == 1 else None

    def stop(self, number=signal.SIGTERM, *, seconds=15):
        """Stop it, and return its exit code and how long that took."""
        started = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(seconds)
        return code, time.monotonic() - started

    def end(self):
        """Whatever has become of it, leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
