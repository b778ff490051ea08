"""One process of the embedded server: started, watched, its output labelled and kept, started again when it dies."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from otaserver.embedded.rules import restart_delay

logger = logging.getLogger(__name__)

# Programs are started with `-m` from where the source is.
ROOT = Path(__file__).resolve().parents[2]

LOG_BYTES = 10 * 1024 * 1024
LOGS_KEPT = 3
# A process that has run this long was well: its next death is a first one again.
WELL_AFTER_SECONDS = 60.0


@dataclass(frozen=True)
class Program:
    """What to run. `environment` is added to that of the supervisor."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A running program. Every method is for the supervisor's thread alone."""

    def __init__(self, program: Program, *, log_dir: Path, show: Callable[[str], None]) -> None:
        self.program = program
        self._show = show
        self._log = _log_file(log_dir / f"{program.name}.log")
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._deaths = 0
        self._started_at = 0.0
        self.restart_at = 0.0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the program in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        self._process = subprocess.Popen(
            self.program.command,
            cwd=ROOT,
            env=os.environ | self.program.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._started_at = time.monotonic()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._copy_output, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def has_ended(self) -> bool:
        """Return whether the process is gone; what it leaves of its group is killed, for it may hold a port."""
        if self._process is None or self._process.poll() is None:
            return False
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return True

    def plan_restart(self) -> None:
        """Decide when to start again, later with every death in a row, and say so."""
        assert self._process is not None
        ran = time.monotonic() - self._started_at
        self._deaths = 1 if ran >= WELL_AFTER_SECONDS else self._deaths + 1
        delay = restart_delay(self._deaths)
        self.restart_at = time.monotonic() + delay
        logger.error(
            "child.died name=%s code=%s ran_seconds=%.1f restart_seconds=%.1f",
            self.program.name,
            self._process.returncode,
            ran,
            delay,
        )
        self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def ask_to_end(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Wait until `deadline` (monotonic) for the end that was asked for, then kill the whole group."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._reader is not None:
            self._reader.join(1.0)
        self._log.close()

    def _copy_output(self, output: IO[str]) -> None:
        with output:
            for line in output:
                text = line.rstrip("\n")
                self._log.emit(logging.makeLogRecord({"msg": text}))
                self._show(f"[{self.program.name}] {text}")


def _log_file(path: Path) -> RotatingFileHandler:
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler
