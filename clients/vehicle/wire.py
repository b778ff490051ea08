"""Connections that must keep bringing bytes: also those that HTTP reads without giving any on (heads, chunk sizes)."""

import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore
import httpx

from clients.vehicle.config import Limits


class TooSlowError(httpcore.ReadTimeout):
    """Somebody sends just enough not to seem silent (attack A3 of wire/uptane.md, slow retrieval)."""


class PacedTransport(httpx.HTTPTransport):
    """An HTTPTransport whose answers bring `slow_window_bytes` per `slow_window_seconds` or end within them."""

    def __init__(self, context: ssl.SSLContext | None, limits: Limits, monotonic: Callable[[], float]) -> None:
        super().__init__(verify=context or False)
        # httpx has no parameter for it; its errors are those of any pool.
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=_Backend(limits, monotonic))


class _Backend(httpcore.SyncBackend):
    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _PacedStream(stream, self._limits, self._monotonic)


class _PacedStream(httpcore.NetworkStream):
    """A connection to one server; a window opens with the first byte after each request."""

    def __init__(self, stream: httpcore.NetworkStream, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._stream = stream
        self._limits = limits
        self._monotonic = monotonic
        self._window_ends: float | None = None
        self._received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, timeout)
        now = self._monotonic()
        if self._window_ends is not None and now >= self._window_ends:
            if self._received < self._limits.slow_window_bytes:
                raise TooSlowError(f"{self._received} bytes in {self._limits.slow_window_seconds:g} s.")
            self._window_ends = None
        if self._window_ends is None:
            self._window_ends, self._received = now + self._limits.slow_window_seconds, 0
        self._received += len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._window_ends = None
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _PacedStream(stream, self._limits, self._monotonic)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
