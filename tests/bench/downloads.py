"""Packages on their way out: CPU for each gigabyte, and what two hundred slow readers do to a poll.

Bytes are held against an nginx that sends the same files from its folder by sendfile, with the same TLS. Polls are held
against themselves: the time that 99 of 100 stay under, without the readers, over the same with them.
"""

import hashlib
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from django.conf import settings

from firmware_store import blobs, signed_urls
from otaserver.embedded import front, programs
from otaserver.fleet.credentials.servers import make_server_authority
from tests.bench import fleets, http_load, measuring, poll
from tests.embedded import fronts
from tests.factories import make_tenant
from tests.processes import ROOT, free_port

FILES = 4
FILE_BYTES = 64 * 1024**2
READERS = 200
POLLING = 100
# 99 of 100 want some thousand polls.
POLLING_SECONDS = 3.0
BY_NGINX = "through nginx, GB per CPU-second against its own sendfile"
BY_SERVE = "by the process of `serve`, GB per CPU-second against nginx's sendfile"
POLLS_BY_NGINX = f"99 of 100 polls through nginx, beside {READERS} slow readers"
POLLS_OF_SERVE = f"99 of 100 polls of `serve`, beside {READERS} slow readers"
_BARE = """
daemon off;
worker_processes auto;
pid bare.pid;
error_log stderr warn;
events {{ }}
http {{
    access_log off;
    default_type application/octet-stream;
    client_body_temp_path bare-body;
    proxy_temp_path bare-proxy;
    fastcgi_temp_path bare-proxy;
    uwsgi_temp_path bare-proxy;
    scgi_temp_path bare-proxy;
    sendfile on;
    tcp_nopush on;
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate server.pem;
        ssl_certificate_key server.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        root packages;
    }}
}}
"""


@dataclass(frozen=True)
class Source:
    """Where packages come from: a port, which certificates are trusted (None: plain HTTP), whose CPU time counts."""

    port: int
    trust: ssl.SSLContext | None
    pids: Sequence[int]

    def bytes_per_cpu_second(self, paths: Iterator[str]) -> float:
        """Fetch a gigabyte, each file by a connection of its own."""
        before, taken = http_load.cpu_seconds(*self.pids), 0
        while taken < 1024**3:
            taken += self._fetch(next(paths))
        return taken / (http_load.cpu_seconds(*self.pids) - before)

    def _fetch(self, path: str) -> int:
        asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        buffer = bytearray(1024**2)
        with http_load.connected(programs.HOST, self.port, self.trust) as connection:
            connection.sendall(asked)
            length = connection.recv_into(buffer)
            head, _, body = bytes(buffer[:length]).partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{path}: {head!r}")
            taken = len(body)
            while length := connection.recv_into(buffer):
                taken += length
        if taken != FILE_BYTES:
            raise RuntimeError(f"{path}: {taken} bytes instead of {FILE_BYTES}.")
        return taken


def measure(pairs: int) -> list[measuring.Figure]:
    if fronts.NGINX is None:
        raise SystemExit("nginx is what downloads are held against, and it is not installed.")
    tenant = make_tenant("bench")
    vehicles, etag = poll.make_fleet(tenant, POLLING)
    polls = cycle([poll.request(tenant, fleets.token_of(one.pk), etag) for one in vehicles])
    hashes = [make_file(number) for number in range(FILES)]
    signed = [signed_path(sha256) for sha256 in hashes]
    with (
        tempfile.TemporaryDirectory(prefix="ota-nginx-") as name,
        http_load.web_server(
            "tests.bench.polled:application",
            begins=b"HTTP/1.1 304 ",
            ends=b"\r\n\r\n",
            OTA_TRUSTED_PROXIES=front.PROXY_ADDRESS,
            OTA_ACCEL_PREFIX=front.ACCEL_PREFIX,
        ) as web,
        ExitStack() as stack,
    ):
        folder = Path(name)
        (folder / "packages").symlink_to(programs.blob_folder())
        authority = make_server_authority(at=fronts.now())
        nginx = fronts.Front(folder, port=free_port(), web_ports=[web.port], authorities=[authority])
        stack.callback(nginx.end)
        trust = fronts.trusting(nginx.ca_file)
        by_nginx = Source(nginx.port, trust, [nginx.pid, web.pid])
        plain, tls = stack.enter_context(bare_nginx(folder, trust))
        by_serve = stack.enter_context(downloads_process())
        stored = [f"/{blobs.blob_path(sha256)}" for sha256 in hashes]
        behind = http_load.WebServer(web.pid, nginx.port, web.begins, web.ends, [trust])
        web.serve(polls, count=2 * POLLING)
        behind.serve(polls, count=2 * POLLING)
        return [
            *measuring.figures(
                "downloads",
                ours=lambda: rates(by_nginx, by_serve, signed),
                bare=lambda: rates(tls, plain, stored),
                pairs=pairs,
                goals={BY_NGINX: 1 / 1.2, BY_SERVE: None},
            ),
            *beside_readers(
                POLLS_BY_NGINX, polls, pairs, polled=behind, source=by_nginx, paths=signed, ca=nginx.ca_file
            ),
            *beside_readers(POLLS_OF_SERVE, polls, pairs, polled=web, source=by_serve, paths=signed, ca=None),
        ]


def rates(by_tls: Source, in_clear: Source, paths: Sequence[str]) -> measuring.Rates:
    return {
        BY_NGINX: by_tls.bytes_per_cpu_second(cycle(paths)),
        BY_SERVE: in_clear.bytes_per_cpu_second(cycle(paths)),
    }


def beside_readers(
    case: str,
    polls: Iterator[bytes],
    pairs: int,
    *,
    polled: http_load.WebServer,
    source: Source,
    paths: Sequence[str],
    ca: Path | None,
) -> list[measuring.Figure]:
    """Compare how long polls take with readers of `source` that take their time, and without."""

    def beside() -> measuring.Rates:
        with slow_readers(source.port, paths[0], ca):
            return alone()

    def alone() -> measuring.Rates:
        return {case: 1 / longest_of_most(polled.delays(polls, seconds=POLLING_SECONDS))}

    return measuring.figures("downloads", ours=beside, bare=alone, pairs=pairs, goals={case: 0.5})


def longest_of_most(delays: Sequence[float]) -> float:
    """Return what 99 of 100 do not exceed."""
    return sorted(delays)[len(delays) * 99 // 100]


@contextmanager
def slow_readers(port: int, path: str, ca: Path | None) -> Iterator[None]:
    """Have a process hold readers; each has begun to read when this yields, and none has ended."""
    command = [sys.executable, "-m", "tests.bench.slow_readers", str(port), path, str(READERS), str(ca or "")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "reading\n":
                raise RuntimeError("The slow readers could not begin.")
            yield
            if process.poll() is not None:
                raise RuntimeError("The slow readers ended too soon.")
        finally:
            process.stdin.close()


def make_file(number: int) -> str:
    """Put a file where packages are and return its SHA-256."""
    content = os.urandom(FILE_BYTES)
    sha256 = hashlib.sha256(content).hexdigest()
    path = Path(programs.blob_folder()) / blobs.blob_path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return sha256


def signed_path(sha256: str) -> str:
    expires = int(time.time()) + 86_400
    return f"/downloads/{sha256}?{signed_urls.sign(sha256, expires=expires, secret=settings.URL_SECRET)}"


@contextmanager
def bare_nginx(folder: Path, trust: ssl.SSLContext) -> Iterator[tuple[Source, Source]]:
    """Yield an nginx that sends the same files, in clear and by TLS."""
    assert fronts.NGINX is not None
    plain, tls = free_port(), free_port()
    (folder / "bare.conf").write_text(_BARE.format(plain=plain, tls=tls))
    own = [*front.program(fronts.NGINX, folder).command]
    own[own.index("-c") + 1] = str(folder / "bare.conf")
    with http_load.running(own, plain) as pid:
        yield Source(plain, None, [pid]), Source(tls, trust, [pid])


@contextmanager
def downloads_process() -> Iterator[Source]:
    port = free_port()
    program = programs.downloads(port=port)
    with http_load.running(program.command, port, **program.environment) as pid:
        yield Source(port, None, [pid])
