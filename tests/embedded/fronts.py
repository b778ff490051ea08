"""A real nginx with `deploy/nginx.conf`, and certificates for those who call it."""

import shutil
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from otaserver.embedded import front
from otaserver.embedded.rules import configure_nginx
from otaserver.fleet.credentials import certificates
from otaserver.fleet.credentials.servers import issue_server_certificate, make_server_authority
from tests.processes import ROOT, wait_for

NGINX = shutil.which("nginx", path=":".join(front.program_folders()))
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def now():
    return datetime.now(tz=UTC)


def make_client_certificate(authority, folder, vehicle_id="CAR1", *, tenant="north", at=None):
    """Return the files of a certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    issued = certificates.issue(authority, key.public_key(), vehicle_id=vehicle_id, tenant=tenant, at=at or now())
    files = folder / f"{issued.serial}.pem", folder / f"{issued.serial}.key"
    files[0].write_text(issued.pem)
    files[1].write_bytes(key.private_bytes(*PEM))
    return files


def trusting(ca_file, certificate=None):
    """Return a TLS context that trusts the server's CA, and shows a certificate."""
    context = ssl.create_default_context(cafile=ca_file)
    if certificate:
        context.load_cert_chain(*certificate)
    return context


class Front:
    """nginx in a folder of its own, before servers on `web_ports`."""

    def __init__(self, folder, *, port, web_ports, authorities):
        self.url = f"https://localhost:{port}"
        self.port = port
        self.ca_file = folder / "ca.pem"
        own = make_server_authority(at=now())
        made = issue_server_certificate(own, ["localhost"], at=now())
        self.ca_file.write_text(own.certificate_pem)
        (folder / "server.pem").write_text(made.certificate_pem)
        (folder / "server.key").write_bytes(made.key_pem)
        (folder / "authorities.pem").write_text("".join(each.certificate_pem for each in authorities))
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        (folder / "nginx.conf").write_text(configure_nginx(text, host="127.0.0.1", port=port, web_ports=web_ports))
        self._process = subprocess.Popen(front.program(NGINX, folder).command)
        try:
            wait_for(lambda: httpx.get(f"{self.url}/healthz", verify=trusting(self.ca_file)), what="nginx")
        except AssertionError:
            self.end()
            raise

    @property
    def pid(self):
        return self._process.pid

    def client(self, certificate=None, **settings):
        return httpx.Client(base_url=self.url, verify=trusting(self.ca_file, certificate), timeout=20, **settings)

    @contextmanager
    def connection(self):
        """Open a TLS connection that sends whatever a test says."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            trusting(self.ca_file).wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            yield connection

    def end(self):
        self._process.terminate()
        self._process.wait(10)


def took(call):
    started = time.monotonic()
    found = call()
    return found, time.monotonic() - started
