"""That this server is the only one on its folder and its ports."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otaserver.embedded.errors import CannotServeError


@contextmanager
def only_one(folder: Path, *, port: int) -> Iterator[None]:
    """Hold the folder for this process.

    The lock belongs to the open file, so it ends with the process, however that ends.

    Raises:
        CannotServeError: another server holds it.
    """
    path = folder / "serve.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text().strip() or "another process"
            raise CannotServeError(
                f"A server runs on {folder} already ({holder}). Stop it first, or set OTA_VAR to another folder."
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"pid {os.getpid()}, port {port}".encode())
        yield
    finally:
        os.close(handle)


def check_port(host: str, port: int, *, variable: str) -> None:
    """Check that the port is free.

    Raises:
        CannotServeError: something listens there, or this user may not.
    """
    with socket.socket() as probe:
        # As the server will: connections of a predecessor that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotServeError(
                f"{host}:{port} cannot be used ({error.strerror}). Choose another port with {variable}."
            ) from error
