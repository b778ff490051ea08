"""A host as `docs/debian.md` makes it, out of what is in `deploy/`: the same files, other folders and ports.

What needs root is done by small programs that come first in the path: nobody is added, nothing is installed, and all
runs as whoever runs the tests. `python -m tests.deploy.host` makes one and keeps it until Ctrl-C.
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

from otaserver.fleet.credentials.servers import issue_server_certificate, make_server_authority
from tests.clusters import Cluster, user
from tests.deploy.systemd import PATH, PROGRAM, Systemd
from tests.deploy.units import UnitError
from tests.processes import ROOT, free_port, wait_for

NAME = "ota.example.com"
PORTS = ("443", "6379", "8000", "8001", "8002")
# Instead of what changes a whole machine.
PROGRAMS = {
    "apt-get": "#!/bin/sh\n",
    # Whoever PostgreSQL runs as here is postgres.
    "chown": '#!/bin/sh\n[ "$1" != postgres: ] || { shift; exec /bin/chown {postgres} "$@"; }\n',
    "pip": "#!/bin/sh\n",
    "python3": "#!/bin/sh\n",
    "useradd": '#!/bin/sh\nmkdir -p "$4"\n',
    "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
    # `runuser -u NAME -- COMMAND`: whoever is postgres may do all in the cluster.
    "runuser": """#!/bin/sh
who=$2; shift 3
[ $who = postgres ] || exec "$@"
export PGHOST={cluster} PGUSER=postgres
cd /
[ "$(id -u)" != 0 ] || exec setpriv --reuid={postgres} --clear-groups "$@"
exec "$@"
""",
    "systemctl": PROGRAM,
}
# Nobody has both: what one of them lacks is said by the name of its package.
NEEDED = {
    "nginx": "nginx",
    "redis-server": "redis-server",
    "curl": "curl",
    "openssl": "openssl",
    "pg_ctlcluster": "postgresql",
}


def missing():
    """Return what Debian's packages have, and this host has not."""
    return [package for program, package in NEEDED.items() if shutil.which(program, path=PATH) is None]


def steps(page):
    """Return the blocks of commands of a page, in their order."""
    text = (ROOT / "docs" / page).read_text()
    return re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)


class Host:
    """PostgreSQL and Redis run from the beginning, as Debian starts them; the rest is done by `do`."""

    def __init__(self, *, in_place_of=None):
        """Make it; with the name of another one, and its certificate, that name leads here when the other has gone."""
        self.folder = Path(tempfile.mkdtemp(prefix="ota-host-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self.cluster = Cluster()
        self.ports = {port: str(free_port()) for port in PORTS}
        if in_place_of is not None:
            self.ports["443"] = in_place_of.ports["443"]
        self.url = f"https://localhost:{self.ports['443']}"
        self.ca_file = self.folder / "root" / "ca.pem"
        for name in ("opt/ota", "etc/systemd/system", "root", "log", "bin", "venv/bin", "redis"):
            (self.folder / name).mkdir(parents=True)
        self._copy_what_is_deployed()
        self._write_programs()
        if in_place_of is None:
            self._issue_certificate()
        else:
            for path in (in_place_of.folder / "root").glob("*.pem"):
                shutil.copy(path, self.folder / "root")
        self._redis = self._start_redis()
        self.systemd = Systemd(self.folder / "etc/systemd/system", self.folder / "log")
        self._listener = self._listen()

    def here(self, text):
        """Put this host's folders, ports and name into a text that speaks of the real one."""
        text = text.replace(f"https://{NAME}", self.url).replace(NAME, "localhost")
        text = re.sub(r"\b(6379|800[0-2])\b", lambda found: self.ports[found[0]], text)
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.ports['443']} ")
        places = {
            "/opt/ota/.venv/bin": f"{self.folder}/venv/bin",
            "/opt/ota/deploy": f"{self.folder}/opt/ota/deploy",
            "/opt/ota": str(ROOT),
            "/bin/systemctl": f"{self.folder}/bin/systemctl",
            "/run/postgresql": str(self.cluster.folder),
            # Where PostgreSQL may write.
            "/var/lib/postgresql/15/main": str(self.cluster.data),
            "/srv/archive": f"{self.cluster.folder}/archive",
        }
        places |= {place: f"{self.folder}{place}" for place in ("/etc/ota", "/etc/systemd/system", "/srv/ota")}
        # All at once: this host's own places may have one of these names in them.
        found = "|".join(re.escape(place) for place in places)
        return re.sub(rf"(?<![\w.-])(?:{found})(?![\w-])", lambda match: places[match[0]], text)

    def do(self, *blocks):
        """Have a shell do what a page says, in the folder that root is in; return what it printed."""
        script = self.here("\n".join(blocks))
        environment = {
            "PATH": f"{self.folder}/bin:{self.cluster.programs}:{PATH}",
            "LANG": "C.UTF-8",
            "CURL_CA_BUNDLE": str(self.ca_file),
        }
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.folder / "root",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.said()}"
        return done.stdout

    def place(self, path):
        return Path(self.here(path))

    def port_url(self, port):
        return f"http://127.0.0.1:{self.ports[port]}"

    def tls(self, certificate=None):
        context = ssl.create_default_context(cafile=self.ca_file)
        if certificate:
            context.load_cert_chain(*certificate)
        return context

    def service(self, name):
        return self.systemd.services[f"{self.here(name)}.service"]

    def said(self):
        logs = sorted((self.folder / "log").iterdir())
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in logs)

    def end(self):
        self._listener.close()
        self.systemd.end()
        self._redis.kill()
        self._redis.wait()
        self.cluster.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _copy_what_is_deployed(self):
        for path in sorted((ROOT / "deploy").rglob("*")):
            copy = self.folder / "opt/ota" / path.relative_to(ROOT)
            if path.is_dir():
                copy.mkdir(parents=True)
            else:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(self.here(path.read_text()))
        if os.geteuid() == 0:
            # As root nginx would have its workers become somebody else; the unit never runs it as root.
            conf = self.folder / "opt/ota/deploy/nginx.conf"
            conf.write_text("user root;\n" + conf.read_text())

    def _write_programs(self):
        for name, text in PROGRAMS.items():
            folder = "venv/bin" if name in ("pip", "python") else "bin"
            path = self.folder / folder / name
            here = text.replace("{cluster}", str(self.cluster.folder)).replace("{postgres}", str(user()))
            path.write_text(here)
            path.chmod(0o755)

    def _issue_certificate(self):
        at = datetime.now(tz=UTC)
        authority = make_server_authority(at=at)
        made = issue_server_certificate(authority, ["localhost"], at=at)
        self.ca_file.write_text(authority.certificate_pem)
        (self.folder / "root" / "fullchain.pem").write_text(made.certificate_pem)
        (self.folder / "root" / "privkey.pem").write_bytes(made.key_pem)

    def _start_redis(self):
        command = [shutil.which("redis-server", path=PATH), "--bind", "127.0.0.1", "--port", self.ports["6379"]]
        command += ["--dir", str(self.folder / "redis"), "--save", ""]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self._redis_listens, what="Redis")
        return process

    def _redis_listens(self):
        with socket.create_connection(("127.0.0.1", int(self.ports["6379"])), timeout=1):
            return True

    def _listen(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{self.folder}/bin/systemctl.socket")
        listener.listen()
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        return listener

    def _serve(self, listener):
        while True:
            try:
                asked, _ = listener.accept()
            except OSError:
                return
            # What is being started may ask as well.
            threading.Thread(target=self._answer, args=(asked,), daemon=True).start()

    def _answer(self, asked):
        with asked, asked.makefile("rw") as stream:
            stream.write(self._call(json.loads(stream.readline())))

    def _call(self, arguments):
        """Return what went wrong; nothing is said where all went well."""
        try:
            if arguments[1:] == ["postgresql"]:
                self._tend_database(arguments[0])
            else:
                self.systemd.call(arguments)
        except (UnitError, OSError, AssertionError, KeyError) as error:
            return f"systemctl {' '.join(arguments)}: {type(error).__name__}: {error}"
        return ""

    def _tend_database(self, verb):
        if verb in ("stop", "restart"):
            self.cluster.stop()
        if verb in ("start", "restart"):
            self.cluster.start()


def main():
    """Make a host, say where it is, and end it when told to."""
    if missing():
        sys.exit(f"Not installed: {', '.join(missing())}.")
    # As Ctrl-C: nothing that runs here may be left when it is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    host = Host()
    try:
        said = host.do(*steps("debian.md")[:-1])
        print(f"{said}\n{host.url}, trusted by {host.ca_file}; all of it is in {host.folder}.", flush=True)  # noqa: T201
        while True:
            signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        host.end()


if __name__ == "__main__":
    main()
