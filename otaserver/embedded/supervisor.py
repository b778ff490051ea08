"""Keeps the embedded server's processes running until it is told to stop, and leaves none behind."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from otaserver.embedded import janitor
from otaserver.embedded.children import Child, Program

LOOK_SECONDS = 0.1
STOP_SECONDS = 5.0


class Supervisor:
    """Starts programs in order and restarts what dies; ends the first one last, since the others need it."""

    def __init__(self, *, log_dir: Path, show: Callable[[str], None]) -> None:
        self._log_dir = log_dir
        self._show = show
        self._children: list[Child] = []
        self._stop = threading.Event()
        self._janitor = self._start_janitor()

    def stop(self) -> None:
        """Ask `watch` to return; safe in a signal handler."""
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def start(self, program: Program) -> None:
        child = Child(program, log_dir=self._log_dir, show=self._show)
        self._children.append(child)
        self._start(child)

    def watch(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Start again what dies, until `until` holds or `stop` is called."""
        while not until() and not self._stop.wait(LOOK_SECONDS):
            if self._janitor.poll() is not None:
                self._janitor = self._start_janitor()
            for child in self._children:
                self._look_at(child)

    def end(self) -> None:
        """End every child, and the janitor after them."""
        for group in (self._children[1:], self._children[:1]):
            deadline = time.monotonic() + STOP_SECONDS
            for child in group:
                child.ask_to_end()
            for child in group:
                child.wait(deadline)
        self._children.clear()
        with suppress(BrokenPipeError):
            _pipe(self._janitor).close()
        self._janitor.wait()

    def _look_at(self, child: Child) -> None:
        if child.has_ended():
            self._tell_janitor(f"-{child.pid}")
            child.plan_restart()
        elif not child.is_running and time.monotonic() >= child.restart_at:
            self._start(child)

    def _start(self, child: Child) -> None:
        child.start()
        self._tell_janitor(f"+{child.pid}")

    def _start_janitor(self) -> subprocess.Popen[str]:
        # In a session of its own: it must outlive a Ctrl-C, and the supervisor. Bare Python: it needs nothing else.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", janitor.__file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for child in self._children:
            if child.is_running:
                _pipe(process).write(f"+{child.pid}\n")
        _pipe(process).flush()
        return process

    def _tell_janitor(self, line: str) -> None:
        # A dead janitor is replaced at the next look, and the new one is told everything.
        with suppress(BrokenPipeError):
            _pipe(self._janitor).write(line + "\n")
            _pipe(self._janitor).flush()


def _pipe(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None
    return process.stdin
