"""Debian's mender-client, unprivileged: each in its own mount namespace, with its own identity, data and modules."""

import json
import shutil
import subprocess
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.processes import get

DEVICE_TYPE = "qemux86-64"
# Writes what it is given into the sandbox's data; a file named "fail" there makes it fail, and then roll back.
MODULE = """#!/bin/sh
set -e
data=@DATA@
echo "$1" >> "$data/module.log"
case "$1" in
    NeedsArtifactReboot) echo No ;;
    SupportsRollback) echo Yes ;;
    ArtifactInstall)
        test ! -e "$data/running" || cp "$data/running" "$data/before"
        cat "$2"/files/* > "$data/running"
        test ! -e "$data/fail" ;;
    ArtifactRollback) test ! -e "$data/before" || cp "$data/before" "$data/running" ;;
    ArtifactCommit) rm -f "$data/before" ;;
esac
"""


def skip_without_mender():
    missing = [name for name in ("mender", "mender-artifact", "unshare") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this kernel forbids user namespaces")


def private_pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Sandbox:
    """One device: its folders, its key, its process."""

    def __init__(self, folder, vehicle_id, url, **config):
        self.folder, self.vehicle_id = folder, vehicle_id
        self.data = folder / "data"
        self.key = Ed25519PrivateKey.generate()
        self.process = None
        share = folder / "share"
        for path in (folder / "etc", self.data, share / "identity", share / "inventory", share / "modules" / "v3"):
            path.mkdir(parents=True)
        self._script(share / "modules" / "v3" / "app", MODULE.replace("@DATA@", str(self.data)))
        self._script(share / "identity" / "mender-device-identity", f"#!/bin/sh\necho vin={vehicle_id}\n")
        self._script(share / "inventory" / "mender-inventory-state", f"#!/bin/sh\ncat {self.data}/state\n")
        (self.data / "state").write_text("parked=true\n")
        (self.data / "running").write_text("factory")
        (self.data / "device_type").write_text(f"device_type={DEVICE_TYPE}\n")
        (self.data / "identity.pem").write_bytes(private_pem(self.key))
        (folder / "etc" / "artifact_info").write_text("artifact_name=app-1.0\n")
        settings = {
            "ServerURL": url,
            "UpdatePollIntervalSeconds": 1,
            "InventoryPollIntervalSeconds": 2,
            "RetryPollIntervalSeconds": 1,
            # Asked for again after half of it; a busy machine may take seconds to answer, and then the client gives up.
            "UpdateControlMapExpirationTimeSeconds": 10,
            "DBus": {"Enabled": False},
            "UpdateLogPath": str(self.data),
            "Security": {"AuthPrivateKey": str(self.data / "identity.pem")},
        }
        (folder / "etc" / "mender.conf").write_text(json.dumps(settings | config))

    @staticmethod
    def _script(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def start(self):
        share, etc = self.folder / "share", self.folder / "etc"
        command = (
            f"mount --bind {share} /usr/share/mender && mount --bind {etc} /etc/mender && "
            f"exec mender --no-syslog --data {self.data} daemon"
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["unshare", "-rm", "sh", "-c", command], stdout=log, stderr=log)
        return self

    def end(self):
        if self.process is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process = None

    @property
    def running(self):
        return (self.data / "running").read_text()

    @property
    def log(self):
        return (self.folder / "log").read_text()

    @property
    def steps(self):
        path = self.data / "module.log"
        return path.read_text().split() if path.exists() else []


def write_artifact(folder, version, *, content=None, sign_with=None, device_types=(DEVICE_TYPE,), name="app"):
    """Return an artifact for the module `app`, built as its maker would, by mender-artifact."""
    payload, made = folder / f"{name}-{version}.txt", folder / f"{name}-{version}.mender"
    # Below 4096 bytes the client takes no artifact.
    payload.write_bytes(content or f"{name} {version}".encode() + b" " * 8192)
    command = ["mender-artifact", "write", "module-image", "-T", "app", "-n", f"{name}-{version}"]
    command += [word for device_type in device_types for word in ("-t", device_type)]
    command += ["-f", str(payload), "-o", str(made), "--compression", "none"]
    if sign_with is not None:
        command += ["-k", str(sign_with)]
    subprocess.run(command, check=True, capture_output=True)
    return made


def make_signing_key(folder):
    """Return the files of an artifact signing key: private, public."""
    private, public = folder / "artifact.key", folder / "artifact.pub"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", private, "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


class Relay:
    """The way of package bytes: passes downloads on, cuts some in the middle, and remembers what was asked for."""

    def __init__(self, server_url):
        self.server_url = server_url
        self.url = ""
        self.to_cut = {}
        self.asked = []

    def after(self, sha256, byte):
        """Cut the next download of these bytes after so many of them."""
        self.to_cut[sha256] = byte


@contextmanager
def relaying(relay):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            sha256 = self.path.split("/")[2][:64]
            relay.asked.append((sha256, self.headers.get("Range"), self.headers.get("Authorization")))
            headers = {name: self.headers[name] for name in ("Range",) if name in self.headers}
            answer = get(relay.server_url + self.path, headers=headers)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in ("connection", "date", "server"):
                    self.send_header(name, value)
            self.end_headers()
            limit = relay.to_cut.pop(sha256, None)
            self.wfile.write(answer.content[:limit])
            self.close_connection = self.close_connection or limit is not None

        def log_message(self, *_args):
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    relay.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
