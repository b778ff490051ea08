"""`manage.py serve`: the whole server as one tree of processes."""

import os
import signal
import threading
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any
from urllib.request import urlopen

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from otaserver import clock
from otaserver.embedded import exclusive, first_start, programs
from otaserver.embedded.errors import CannotServeError
from otaserver.embedded.supervisor import Supervisor


class Command(BaseCommand):
    _saying = threading.Lock()
    help = "Run the whole server: web, downloads, worker, clock and Redis, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="keep the processes' output in the log files alone")

    def handle(self, *args: Any, quiet: bool, **options: Any) -> None:
        download_port = int(os.environ.get("OTA_DOWNLOAD_PORT") or settings.PORT + 1)
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        try:
            with exclusive.only_one(settings.VAR_DIR, port=settings.PORT):
                exclusive.check_port(programs.HOST, settings.PORT, variable="OTA_PORT")
                exclusive.check_port(programs.HOST, download_port, variable="OTA_DOWNLOAD_PORT")
                self._prepare()
                self._run(download_port, quiet=quiet)
        except CannotServeError as error:
            raise CommandError(str(error)) from error

    def _prepare(self) -> None:
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

    def _run(self, download_port: int, *, quiet: bool) -> None:
        log_folder = programs.log_folder()
        log_folder.mkdir(exist_ok=True)
        supervisor = Supervisor(log_dir=log_folder, show=(lambda line: None) if quiet else self._say)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.stop())
        try:
            for program in programs.needed(port=settings.PORT, download_port=download_port):
                supervisor.start(program)
            supervisor.watch(until=self._answers)
            if not supervisor.is_stopping:
                self._say(f"Ready: http://{programs.HOST}:{settings.PORT}/console/  (logs in {log_folder})")
            supervisor.watch()
        finally:
            self._say("Stopping.")
            supervisor.end()

    def _say(self, line: str) -> None:
        """Write a line whole, from any thread; a reader that has gone away is no reason to stop serving."""
        with self._saying, suppress(BrokenPipeError):
            self.stdout.write(line)
            self.stdout.flush()

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://{programs.HOST}:{settings.PORT}/healthz", timeout=1):
                return True
        except OSError:
            return False
