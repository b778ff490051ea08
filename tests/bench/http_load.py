"""HTTP under load: a granian with one worker, and a closed loop of keep-alive connections that asks it."""

import os
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from otaserver.embedded.programs import HOST, WEB_THREADS
from tests.processes import ROOT, descendants, free_port, wait_for

CONNECTIONS = 8
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    """What a server did in one run."""

    answers: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.answers / self.cpu_seconds


@dataclass(frozen=True)
class WebServer:
    """A running granian. Every answer has to begin and to end as said; anything else ends the bench.

    `contexts`: what each connection of a TLS server shows, and so how many there are.
    """

    pid: int
    port: int
    begins: bytes
    ends: bytes
    contexts: Sequence[ssl.SSLContext] = ()
    host: str = HOST

    def serve(self, requests: Iterator[bytes], *, seconds: float = 0.0, count: int = 0) -> Served:
        """Ask for so long, or so many times, always with one request under way on each connection."""
        with ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())

            def connect(context: ssl.SSLContext | None) -> None:
                connection = stack.enter_context(self._connected(context))
                selector.register(connection, selectors.EVENT_READ, (context, bytearray()))
                connection.sendall(next(requests))

            for context in self.contexts or [None] * CONNECTIONS:
                connect(context)
            cpu, started = cpu_seconds(self.pid), time.perf_counter()
            answers, now = 0, started
            while now - started < seconds or answers < count:
                for key, _ in selector.select(timeout=30) or self._fail(b"nothing for 30 s"):
                    context, answer = key.data
                    answer.extend(key.fileobj.recv(65536) or self._fail(b"the connection was closed"))
                    if is_whole(answer) if not self.ends else answer.endswith(self.ends):
                        if not answer.startswith(self.begins):
                            self._fail(bytes(answer))
                        answers += 1
                        # nginx takes a thousand requests by each connection, and says so with the last.
                        if b"\r\nConnection: close\r\n" in answer:
                            selector.unregister(key.fileobj)
                            key.fileobj.close()
                            connect(context)
                            continue
                        answer.clear()
                        key.fileobj.sendall(next(requests))
                now = time.perf_counter()
            return Served(answers, now - started, cpu_seconds(self.pid) - cpu)

    def delays(self, requests: Iterator[bytes], *, seconds: float) -> list[float]:
        """Ask for so long, one request after the other; return how long each answer took."""
        delays: list[float] = []
        ends_at = time.perf_counter() + seconds
        while time.perf_counter() < ends_at:
            # A new one now and then, and not counted: nginx takes a thousand requests by each.
            with self._connected(self.contexts[0] if self.contexts else None) as connection:
                delays += [self._delay(connection, next(requests)) for _ in range(100)]
        return delays

    def _delay(self, connection: socket.socket, request: bytes) -> float:
        asked_at = time.perf_counter()
        connection.sendall(request)
        answer = connection.recv(65536)
        while not answer.endswith(self.ends):
            answer += connection.recv(65536) or self._fail(b"the connection was closed")
        if not answer.startswith(self.begins):
            self._fail(answer)
        return time.perf_counter() - asked_at

    def get(self, path: str) -> bytes:
        """Return the body of one answer."""
        return httpx.get(f"http://{self.host}:{self.port}{path}", timeout=600).raise_for_status().content

    def _connected(self, context: ssl.SSLContext | None) -> socket.socket:
        return connected(self.host, self.port, context)

    def _fail(self, answer: bytes) -> bytes:
        raise RuntimeError(f"Not {self.begins!r} … {self.ends!r}: {answer!r}")


def connected(host: str, port: int, context: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(connection, server_hostname="localhost") if context else connection


def cpu_seconds(*pids: int) -> float:
    """Return what these processes and their children have taken so far. A server that is not ours has number 0."""
    ticks = 0
    for pid in pids:
        for one in {pid, *descendants(pid)} if pid else ():
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # proc(5): utime, stime
    return ticks / _TICKS_PER_SECOND


def is_whole(answer: bytes) -> bool:
    """Return whether an answer is all there, by its Content-Length, or as chunks, or because it has no body."""
    head, end, body = bytes(answer).partition(b"\r\n\r\n")
    if not end:
        return False
    lines = [line.lower().replace(b" ", b"") for line in head.split(b"\r\n")]
    if b"transfer-encoding:chunked" in lines:
        return body.endswith(b"0\r\n\r\n")
    lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    return head.split()[1] in (b"204", b"304") or (bool(lengths) and len(body) >= lengths[0])


@contextmanager
def web_server(application: str, *, begins: bytes, ends: bytes, **environment: str) -> Iterator[WebServer]:
    """Serve a WSGI application as the embedded default does, but by one worker."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port), "--no-ws"),
        *("--workers", "1", "--blocking-threads", str(WEB_THREADS), "--log-level", "warning"),
        *("--workers-kill-timeout", "3", application),
    ]
    with running(command, port, **environment) as pid:
        yield WebServer(pid, port, begins, ends)


@contextmanager
def running(command: Sequence[str], port: int, **environment: str) -> Iterator[int]:
    """Yield the pid of a server, once something listens on this port; end it afterwards."""
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, env=os.environ | environment)
    try:
        wait_for(lambda: connected(HOST, port, None).close() or True, what=" ".join(command))
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
