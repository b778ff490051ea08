"""The demo's two helpers, as real processes: the server that `make serve` starts, and the simulated fleet."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import httpx
from django.conf import settings
from django.core.management.base import CommandError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
START_SECONDS = 120
STOP_SECONDS = 15


def stop_on_signals() -> None:
    """Have what asks this process to end end its helpers too: they are sessions of their own, and would stay."""
    for number in _ENDING:
        # `nohup` and the like.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    # Whoever asks twice gets no half of an end: it takes some seconds, and leaves nothing.
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def running_server(log: Path) -> Iterator[str]:
    """Run `manage.py serve` in this process's folder of run-time data; yield its address."""
    url = f"http://127.0.0.1:{settings.PORT}"
    with _running([sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", "--quiet"], log) as process:
        _wait_until_ready(url, process, log)
        yield url


@contextmanager
def running_fleet(plan: Path, folder: Path, url: str, log: Path) -> Iterator[None]:
    """Drive the fleet of `plan`, whose disks are below `folder`, while the block runs; its last turns end before it."""
    command = [sys.executable, "-m", "clients.fleet", "run", str(plan), "--folder", str(folder), "--url", url]
    with _running(command, log) as process:
        yield
        if process.poll() is not None:
            raise CommandError(f"The fleet ended by itself; see {log}.")


@contextmanager
def _running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as output:
        # A session of its own: Ctrl-C reaches the demo alone, which then ends its helpers in order.
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=settings.BASE_DIR,
            env=os.environ.copy(),
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CommandError("The server did not start: " + log.read_text(errors="replace").strip()[-500:])
        try:
            if httpx.get(f"{url}/healthz", timeout=2, verify=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise CommandError(f"The server was not ready within {START_SECONDS} s; see {log}.")
