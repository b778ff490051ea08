"""Services as systemd runs them: after what they need, in their environment alone, ended as their unit says."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.deploy.units import Unit, UnitError, read_environment, read_unit, words

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of Debian's packages: they run already, or are to be stopped.
OTHERS = {"nginx", "postgresql.service", "network-online.target"}
USUAL_STOP_SECONDS = 90


def in_session(leader):
    """Every process that a service has started: it is the leader of a session of its own, as of a control group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == leader and state != "Z":
                    found.append(int(entry.name))
    return found


class Service:
    """One unit, and the processes that it has started."""

    def __init__(self, unit: Unit, log: Path):
        self.unit, self._log = unit, log
        self._process: subprocess.Popen[bytes] | None = None
        self._has_run = self._is_starting = False

    @property
    def is_active(self):
        if self._process is not None:
            return self._process.poll() is None
        return self._has_run and self.unit.one("RemainAfterExit") == "true"

    @property
    def has_failed(self):
        """Whether it could not be started, or has ended by itself."""
        return self._is_starting or (self._process is not None and self._process.poll() is not None)

    @property
    def pids(self):
        return in_session(self._process.pid) if self._process is not None else []

    @property
    def environment(self):
        found = {"PATH": PATH, "LANG": "C.UTF-8", "USER": self.unit.one("User")}
        for path in self.unit.all("EnvironmentFile"):
            found |= read_environment(Path(path).read_text())
        return found

    def start(self):
        self._is_starting = True
        for line in self.unit.all("ExecStartPre"):
            self._run(line)
        if self.unit.one("Type") == "oneshot":
            for line in self.unit.all("ExecStart"):
                self._run(line)
            self._has_run, self._is_starting = True, False
            return
        (line,) = self.unit.all("ExecStart")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(words(line, self.environment), stdout=log, stderr=log, **self._how())
        self._is_starting = False

    def reload(self):
        lines = self.unit.all("ExecReload")
        if not lines:
            raise UnitError(f"{self.unit.name} cannot be reloaded")
        for line in lines:
            self._run(line)

    def stop(self):
        """Raises UnitError where systemd would have to kill it."""
        self._has_run = self._is_starting = False
        if self._process is None:
            return
        number = getattr(signal, self.unit.one("KillSignal", "SIGTERM"))
        # Every process of the group gets it, unless the unit says otherwise.
        asked = [self._process.pid] if self.unit.one("KillMode") == "mixed" else self.pids
        self._send(asked, number)
        deadline = time.monotonic() + float(self.unit.one("TimeoutStopSec", str(USUAL_STOP_SECONDS)))
        while self._process.poll() is None or self.pids:
            if time.monotonic() > deadline:
                self.kill()
                raise UnitError(f"{self.unit.name} had to be killed")
            time.sleep(0.05)
        self._process = None

    def kill(self):
        if self._process is not None:
            self._send(self.pids, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def said(self):
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _run(self, line):
        main = {"MAINPID": str(self._process.pid)} if self._process is not None else {}
        with self._log.open("ab") as log:
            # With a plus it is done by root, whoever the unit is.
            command = words(line.removeprefix("+"), self.environment | main)
            done = subprocess.run(command, stdout=log, stderr=log, timeout=300, check=False, **self._how())
        if done.returncode:
            raise UnitError(f"{self.unit.name}: {line}: {done.returncode}\n{self.said()[-2000:]}")

    def _how(self):
        limit = self.unit.one("LimitNOFILE")

        def prepare():
            os.umask(int(self.unit.one("UMask", "0022"), 8))
            if limit:
                _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
                wanted = int(limit) if most == resource.RLIM_INFINITY else min(int(limit), most)
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))

        return {
            "cwd": self.unit.one("WorkingDirectory", "/"),
            "env": self.environment,
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
            "preexec_fn": prepare,
        }

    @staticmethod
    def _send(pids, number):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class Systemd:
    """`systemctl`, for the units of one folder."""

    def __init__(self, units: Path, logs: Path):
        self._units, self._logs = units, logs
        self.services: dict[str, Service] = {}

    def call(self, arguments):
        """Do what `systemctl` does with these arguments."""
        verb, *rest = arguments
        named = [word for word in rest if not word.startswith("--")]
        if verb == "daemon-reload":
            return
        if verb in ("enable", "disable"):
            if "--now" not in rest:
                return
            verb = "start" if verb == "enable" else "stop"
        for name in named:
            if name not in OTHERS:
                getattr(self, verb.replace("-", "_"))(name)

    def start(self, name):
        if name.endswith(".timer"):
            unit = self._read(name)
            assert unit.one("OnCalendar", section="Timer")
            self._read(name.replace(".timer", ".service"))
            return
        service = self._service(name)
        if service.is_active:
            return
        for needed in service.unit.names("Requires"):
            self._start_first(needed, service)
        # What is only wanted, and fails, keeps nothing from being started.
        for wanted in service.unit.names("Wants"):
            # Nor is it tried again for whoever wants it.
            if wanted not in self.services or not self.services[wanted].has_failed:
                with suppress(UnitError):
                    self._start_first(wanted, service)
        service.start()

    def _start_first(self, needed, service):
        if needed not in service.unit.names("After"):
            raise AssertionError(f"{service.unit.name} does not wait for {needed}, which it needs")
        if needed not in OTHERS:
            self.start(needed)

    def tend(self):
        """Start again what has failed and whose unit says so; return whether all is well."""
        for name, service in list(self.services.items()):
            if service.has_failed and service.unit.one("Restart") in ("always", "on-failure"):
                with suppress(UnitError):
                    self.start(name)
        return not any(service.has_failed for service in self.services.values())

    def is_active(self, name):
        if not self._service(name).is_active:
            raise UnitError("inactive")

    def stop(self, name):
        if name.endswith(".timer"):
            return
        self._service(name).stop()

    def restart(self, name):
        if any(
            _full(name) in each.unit.names("Requires") + each.unit.names("PartOf") for each in self.services.values()
        ):
            raise UnitError(f"with {name} everything would be restarted that needs it")
        self.stop(name)
        self.start(name)

    def reload(self, name):
        self._service(name).reload()

    def end(self):
        for service in self.services.values():
            service.kill()

    def _service(self, name):
        full = _full(name)
        if full not in self.services:
            self.services[full] = Service(self._read(full), self._logs / f"{full}.log")
        return self.services[full]

    def _read(self, name):
        path = self._units / re.sub(r"@[^.]*", "@", name)
        return read_unit(name, path.read_text())


def _full(name):
    return name if "." in name else f"{name}.service"


# The program `systemctl` of the host: it has the process of the tests do it, whose children all services are.
PROGRAM = f"""#!{sys.executable} -IS
import json, socket, sys
with socket.socket(socket.AF_UNIX) as made:
    made.connect(sys.argv[0] + ".socket")
    made.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    sys.exit(made.makefile().read() or None)
"""
