"""`manage.py serve`: the whole server as one tree of processes."""

import os
import signal
import socket
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.request import urlopen

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from firmware_store.trust import outside
from firmware_store.trust.errors import RestoreUnfinishedError
from otaserver import clock
from otaserver.embedded import exclusive, first_start, front, programs
from otaserver.embedded.children import Program
from otaserver.embedded.errors import CannotServeError
from otaserver.embedded.supervisor import Supervisor


class Command(BaseCommand):
    _saying = threading.Lock()
    help = "Run the whole server: web, downloads, worker, clock and Redis, until Ctrl-C."
    # They are about the source, and would import all of the console into a process that serves none of it.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="keep the processes' output in the log files alone")
        parser.add_argument("--tls", action="store_true", help="put nginx in front, with TLS and client certificates")

    def handle(self, *args: Any, quiet: bool, tls: bool, **options: Any) -> None:
        _port("OTA_PORT", settings.PORT)
        download_port = _port("OTA_DOWNLOAD_PORT", settings.PORT + 1)
        if settings.WEB_WORKERS < 1:
            raise CommandError(f"OTA_WEB_WORKERS is {settings.WEB_WORKERS}: at least 1.")
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        try:
            with exclusive.only_one(settings.VAR_DIR, port=settings.PORT):
                exclusive.check_port(programs.HOST, settings.PORT, variable="OTA_PORT")
                exclusive.check_port(programs.HOST, download_port, variable="OTA_DOWNLOAD_PORT")
                nginx = self._find_nginx() if tls else ""
                self._prepare()
                _forget_counts()
                self._run(download_port, nginx, quiet=quiet)
        except (CannotServeError, RestoreUnfinishedError) as error:
            raise CommandError(str(error)) from error

    def _prepare(self) -> None:
        outside.require_restored()
        if settings.IS_PRODUCTION:
            return
        made = first_start.prepare(settings.VAR_DIR, at=clock.now())
        connections.close_all()
        if made is not None:
            self._say(f"Operator token: {made.token}  (kept in {made.token_file})")
            self._say(
                f"Tenant {first_start.TENANT} requires no second person: who drafts a campaign may approve it alone. "
                "To change that: python -m clients.publisher tenant approvals 1"
            )
            self._say(f"Console: user {first_start.CONSOLE_USER}, password {made.password}  (in {made.password_file})")
        self._say(
            f"Keys under {settings.VAR_DIR} are for trying only: whoever can read that folder can sign for your "
            "vehicles. For real vehicles keep root and release keys off this machine."
        )

    def _find_nginx(self) -> str:
        found = front.find_nginx(front.program_folders())
        exclusive.check_port(_tls_host(), _tls_port(), variable="OTA_TLS_PORT or OTA_TLS_HOST")
        return found

    def _run(self, download_port: int, nginx: str, *, quiet: bool) -> None:
        log_folder = programs.log_folder()
        log_folder.mkdir(exist_ok=True)
        supervisor = Supervisor(log_dir=log_folder, show=(lambda line: None) if quiet else self._say)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.stop())
        try:
            for program in _programs(download_port, nginx):
                supervisor.start(program)
            supervisor.watch(until=_answers)
            if not supervisor.is_stopping:
                self._say(f"Ready: http://{programs.HOST}:{settings.PORT}/console/  (logs in {log_folder})")
            if nginx:
                supervisor.watch(until=_answers_by_tls)
            if nginx and not supervisor.is_stopping:
                self._say(
                    f"TLS: https://localhost:{_tls_port()}  (signed by {front.folder() / 'ca.pem'}: let curl --cacert, "
                    "a vehicle's ca_file and browsers trust that file)"
                )
            supervisor.watch()
        finally:
            self._say("Stopping.")
            supervisor.end()

    def _say(self, line: str) -> None:
        """Write a line whole, from any thread; a reader that has gone away is no reason to stop serving."""
        with self._saying, suppress(BrokenPipeError):
            self.stdout.write(line)
            self.stdout.flush()


def _forget_counts() -> None:
    """Drop what processes of an earlier run have counted: Prometheus sees counters begin anew."""
    for file in settings.METRICS_DIR.glob("*.db"):
        file.unlink(missing_ok=True)


def _programs(download_port: int, nginx: str) -> Iterator[Program]:
    if not nginx:
        yield from programs.needed(port=settings.PORT, download_port=download_port, behind={})
        return
    packages = programs.blob_folder()
    place = front.prepare(host=_tls_host(), port=_tls_port(), web_port=settings.PORT, packages=packages, at=clock.now())
    connections.close_all()
    behind = front.environment(place, packages=packages)
    yield from programs.needed(port=settings.PORT, download_port=download_port, behind=behind)
    yield front.program(nginx, place)


def _tls_host() -> str:
    return os.environ.get("OTA_TLS_HOST") or programs.HOST


def _tls_port() -> int:
    return _port("OTA_TLS_PORT", 8443)


def _port(variable: str, usual: int) -> int:
    given = os.environ.get(variable) or str(usual)
    if not given.isdecimal() or not 0 < int(given) < 2**16:
        raise CommandError(f"{variable} is {given!r}: a port is a number from 1 to 65535.")
    return int(given)


def _answers() -> bool:
    try:
        with urlopen(f"http://{programs.HOST}:{settings.PORT}/healthz", timeout=1):
            return True
    except OSError:
        return False


def _answers_by_tls() -> bool:
    """Return whether nginx listens; whether the server behind it answers was asked before."""
    host = "127.0.0.1" if _tls_host() == "0.0.0.0" else _tls_host()
    try:
        with socket.create_connection((host, _tls_port()), timeout=1):
            return True
    except OSError:
        return False
