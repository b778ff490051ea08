"""The maker's server on a real socket, for what only a real network does."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.clients.vehicle.repositories import BASE, Oem

# What an attacker does to the socket instead of answering.
Raw = Callable[[socket.socket], None]


@contextmanager
def serving(oem: Oem, raw: dict[str, Raw] | None = None) -> Iterator[str]:
    """Serve `oem` on a free port; paths (without base) in `raw` get the bare socket."""
    attacks = raw if raw is not None else {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix(BASE)
            if path in attacks:
                self.close_connection = True
                attacks[path](self.connection)
                return
            length = int(self.headers.get("Content-Length", 0))
            url = f"http://{self.headers['Host']}{self.path}"
            request = httpx.Request(self.command, url, headers=dict(self.headers), content=self.rfile.read(length))
            self._answer(oem.handle(request))

        do_POST = do_GET

        def _answer(self, response: httpx.Response) -> None:
            body = response.read()
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                if name not in ("content-length", "transfer-encoding"):
                    self.send_header(name, value)
            if response.status_code != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reset(connection: socket.socket) -> None:
    """End the connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def cut_after(data: bytes, announced: int) -> Raw:
    """Announce `announced` bytes, send `data`, then reset."""

    def attack(connection: socket.socket) -> None:
        head = f'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: {announced}\r\n\r\n'
        connection.sendall(head.encode() + data)
        # A reset drops what the peer has not read; let it read.
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        reset(connection)

    return attack


def trickle(pause: Callable[[], bool], *, after: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 72000\r\n\r\n") -> Raw:
    """Send a byte at a time after the beginning `after`, as long as `pause` (which waits) says so."""

    def attack(connection: socket.socket) -> None:
        try:
            connection.sendall(after)
            while pause():
                connection.sendall(b"a")
        except OSError:
            return

    return attack


def endless_chunks(sent: list[int]) -> Raw:
    """Send chunks for ever; `sent` counts them."""

    def attack(connection: socket.socket) -> None:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                connection.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
                sent.append(1)
        except OSError:
            return

    return attack
