"""A host as `docs/compose.md` makes it, with a program in the place of `docker` that starts no containers.

What the page has done in a container is done as it would be there: by the service's command or the given one, in the
environment that `deploy/compose.yaml` gives it, with a folder for the volume and a PostgreSQL that wants the password.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import yaml
from psycopg import sql

from tests.clusters import Cluster
from tests.deploy.units import read_environment
from tests.processes import ROOT

FILE = ROOT / "deploy" / "compose.yaml"
PROGRAMS = {
    "chown": "#!/bin/sh\n",
    "curl": "#!/bin/sh\n",
    "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
}
DOCKER = f"""#!{sys.executable} -IS
import json, os, subprocess, sys

OPTIONS = {{"up": {{"--build", "--detach"}}, "run": {{"--rm", "-T"}}, "stop": set(), "build": set()}}
with open(sys.argv[0] + ".json") as file:
    told = json.load(file)
compose, option, named, verb, *words = sys.argv[1:]
assert (compose, option, named) == ("compose", "--file", told["file"]), sys.argv
while words and words[0].startswith("-"):
    assert words[0] in OPTIONS[verb], sys.argv
    words.pop(0)
with open(sys.argv[0] + ".log", "a") as log:
    log.write(" ".join([verb, *words]) + "\\n")


def run(command):
    command = [word.replace("/srv/ota", told["volume"]) for word in command]
    environment = {{**told["environment"]}}
    for line in open(told["env_file"]):
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            environment.setdefault(name, value)
    environment = {{name: value.replace("/srv/ota", told["volume"]) for name, value in environment.items()}}
    path = environment["PATH"]
    return subprocess.run(["/usr/bin/env", f"PATH={{path}}", *command], cwd=told["source"], env=environment).returncode


if verb == "run":
    assert words[0] == "migrate", sys.argv
    sys.exit(run(words[1:]))
if verb == "up":
    # The rest is started once this has ended well.
    sys.exit(run(told["command"]))
assert set(words) <= set(told["services"]), sys.argv
"""


class Containers:
    """`do` has a shell do what the page says; the volume is at `volume`."""

    def __init__(self, password):
        self.folder = Path(tempfile.mkdtemp(prefix="ota-host-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self.volume = self.folder / "volume"
        self._password = password
        for name in ("root", "bin", "opt/ota/deploy"):
            (self.folder / name).mkdir(parents=True)
        # What the image has there, and a new volume with it.
        for name in ("backups", "nginx", "online-keys", "packages", "var"):
            (self.volume / name).mkdir(parents=True, mode=0o700)
        shutil.copy(ROOT / "deploy" / "ota.env.example", self.folder / "opt/ota/deploy")
        for name in ("fullchain.pem", "privkey.pem"):
            (self.folder / "root" / name).write_text("PEM\n")
        self.cluster = self._start_database()
        self._write_programs()

    def do(self, *blocks):
        script = "\n".join(blocks).replace("/opt/ota", f"{self.folder}/opt/ota")
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=self.folder / "root",
            env={"PATH": f"{self.folder}/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def rows(self, query):
        with psycopg.connect(self._address, password=self._password) as database:
            return database.execute(query).fetchall()

    @property
    def asked(self):
        """What `docker compose` was asked for, in lines."""
        return (self.folder / "bin" / "docker.log").read_text().splitlines()

    def given(self):
        """The variables that this host gives to all containers."""
        return read_environment((self.folder / "opt/ota/deploy/ota.env").read_text())

    def end(self):
        self.cluster.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _address(self):
        return f"postgresql://ota@/ota?host={self.cluster.folder}"

    def _start_database(self):
        cluster = Cluster()
        with psycopg.connect(cluster.url(), autocommit=True) as server:
            # As the image makes it.
            server.execute(sql.SQL("CREATE ROLE ota SUPERUSER LOGIN PASSWORD {}").format(sql.Literal(self._password)))
            server.execute("CREATE DATABASE ota OWNER ota")
        cluster.require_passwords()
        return cluster

    def _write_programs(self):
        for name, text in (PROGRAMS | {"docker": DOCKER}).items():
            path = self.folder / "bin" / name
            path.write_text(text)
            path.chmod(0o755)
        read = yaml.safe_load(FILE.read_text())
        migrate = read["services"]["migrate"]
        environment = {
            name: str(value)
            .replace("${POSTGRES_PASSWORD:?}", self._password)
            .replace("@database/ota", f"@/ota?host={self.cluster.folder}")
            for name, value in migrate["environment"].items()
        }
        assert not [value for value in environment.values() if "${" in value]
        told = {
            "file": f"{self.folder}/opt/ota/deploy/compose.yaml",
            "env_file": f"{self.folder}/opt/ota/deploy/{migrate['env_file']}",
            "environment": environment | {"PATH": f"{self.folder}/bin:{self.cluster.programs}:/usr/bin:/bin"},
            "command": migrate["command"],
            "services": list(read["services"]),
            "volume": str(self.volume),
            "source": str(ROOT),
        }
        (self.folder / "bin" / "docker.json").write_text(json.dumps(told))
