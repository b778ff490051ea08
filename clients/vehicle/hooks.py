"""Where the vehicle's own software is asked: install, health, preconditions, consent, and notes to the owner."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

from clients.vehicle.conditions import values_that_meet

EX_TEMPFAIL = 75
DECISIONS = ("yes", "no", "postpone", "shown")


class Verdict(StrEnum):
    YES = "yes"
    NOT_YET = "not_yet"  # ask again in a later cycle
    NO = "no"


@dataclass(frozen=True)
class HookResult:
    """`measured` are values for the server; behind a precondition, the sensor readings that the client judges itself.

    A value that JSON cannot say (NaN, infinity) is dropped, and the message names it.

    To a question of consent, `decision` is what the owner did: yes, no, postpone, or shown (it is on the screen, and
    nobody has answered); empty goes by the verdict, and "not yet" then means that nobody was asked. `by` and `language`
    say who and in which language; `text` is what was shown, where that is not exactly the release notes.
    """

    verdict: Verdict = Verdict.YES
    message: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)
    decision: str = ""
    by: str = ""
    language: str = ""
    text: str | None = None

    def __post_init__(self) -> None:
        dropped = sorted(str(name) for name, value in self.measured.items() if not _is_json(value))
        if dropped:
            kept = {name: value for name, value in self.measured.items() if _is_json(value)}
            message = f"{self.message} (measured is not JSON: {', '.join(dropped)})".strip()
            object.__setattr__(self, "measured", kept)
            object.__setattr__(self, "message", message)


@dataclass(frozen=True)
class StagedImage:
    """One verified image in the slot from which its ECU will start (or has started, when health is asked)."""

    ecu: str
    hardware_id: str
    target_name: str
    name: str
    version: str
    slot: str
    path: str


@dataclass(frozen=True)
class StagedRelease:
    """All images of one order."""

    attempt: str
    campaign: str
    release: str
    images: tuple[StagedImage, ...]


@dataclass(frozen=True)
class ConsentQuestion:
    attempt: str
    release: str
    consent: Mapping[str, Any]
    notes: str
    language: str
    # Whether a no is one for good, or only puts it off.
    may_refuse: bool = True
    # It goes ahead whatever is answered, and this question must say so.
    is_last: bool = False
    postponements_left: int | None = None


@dataclass(frozen=True)
class OwnerNotes:
    """Release notes in the owner's language, before the installation and after it."""

    attempt: str
    release: str
    moment: Literal["before", "after"]
    notes: str
    language: str


class Hooks(Protocol):
    """The vehicle's side. Implementations may be called again for the same input after a crash."""

    def install(self, image: StagedImage) -> HookResult:
        """Prepare one ECU to start from `image`; nothing has been switched yet."""

    def health(self, release: StagedRelease) -> HookResult:
        """Judge the release that has just been started. Anything but YES or NOT_YET returns to the old one."""

    def preconditions(self, conditions: Sequence[Mapping[str, Any]]) -> HookResult:
        """Judge whether the vehicle's state allows an installation now. NO refuses the order for good.

        YES is not enough: the client compares `measured` with each condition, and one that was not measured is not met.
        """

    def consent(self, question: ConsentQuestion) -> HookResult:
        """Ask the owner. NO refuses the order for good."""

    def notes(self, notes: OwnerNotes) -> None:
        """Show release notes to the owner."""

    def signals(self, names: Sequence[str]) -> Mapping[str, Any]:
        """Return those of these numbers (boots, crashes …) that the vehicle can tell; each is its worst of late."""


class WillingHooks:
    """Hooks of a vehicle that is always ready and healthy. A base for others."""

    def install(self, image: StagedImage) -> HookResult:
        return HookResult()

    def health(self, release: StagedRelease) -> HookResult:
        return HookResult()

    def preconditions(self, conditions: Sequence[Mapping[str, Any]]) -> HookResult:
        return HookResult(measured=values_that_meet(conditions))

    def consent(self, question: ConsentQuestion) -> HookResult:
        return HookResult()

    def notes(self, notes: OwnerNotes) -> None:
        return None

    def signals(self, names: Sequence[str]) -> Mapping[str, Any]:
        return {}


class ExecutableHooks:
    """Hooks that are programs: JSON on stdin; exit 0 is yes, 75 (EX_TEMPFAIL) not yet, anything else no.

    A program may print a JSON object `{"message": "...", "measured": {...}}` on stdout. A program that runs out of time
    says "no" to install and health, "not yet" to preconditions and consent. Without a program, install and notes do
    nothing and health is good, but a precondition or a question of consent that nobody can answer stays "not yet".
    """

    def __init__(self, programs: Mapping[str, Path], *, timeout_seconds: float = 300.0) -> None:
        self._programs = dict(programs)
        self._timeout_seconds = timeout_seconds

    def install(self, image: StagedImage) -> HookResult:
        return self._ask("install", asdict(image), without=Verdict.YES, late=Verdict.NO)

    def health(self, release: StagedRelease) -> HookResult:
        return self._ask("health", asdict(release), without=Verdict.YES, late=Verdict.NO)

    def preconditions(self, conditions: Sequence[Mapping[str, Any]]) -> HookResult:
        body = {"conditions": list(conditions)}
        return self._ask("preconditions", body, without=Verdict.NOT_YET, late=Verdict.NOT_YET)

    def consent(self, question: ConsentQuestion) -> HookResult:
        return self._ask("consent", asdict(question), without=Verdict.NOT_YET, late=Verdict.NOT_YET)

    def notes(self, notes: OwnerNotes) -> None:
        self._ask("notes", asdict(notes), without=Verdict.YES, late=Verdict.NO)

    def signals(self, names: Sequence[str]) -> Mapping[str, Any]:
        return self._ask("signals", {"signals": list(names)}, without=Verdict.YES, late=Verdict.NO).measured

    def _ask(self, name: str, question: Mapping[str, Any], *, without: Verdict, late: Verdict) -> HookResult:
        program = self._programs.get(name)
        if program is None:
            return HookResult(without, f"no {name} hook is configured" if without is not Verdict.YES else "")
        try:
            status, output = _run(program, json.dumps(question).encode(), self._timeout_seconds)
        except subprocess.TimeoutExpired:
            return HookResult(late, f"{name} hook: no answer in {self._timeout_seconds:g} s")
        except OSError as error:
            return HookResult(late, f"{name} hook: {error.strerror}")
        if status < 0:
            # Killed by a signal: it has answered nothing.
            return HookResult(late, f"{name} hook: ended by signal {-status}")
        return _read_answer(name, status, output)


def _run(program: Path, question: bytes, timeout_seconds: float) -> tuple[int, bytes]:
    """Return exit status and output. What does not end in time is killed with everything that it has started."""
    pipe = subprocess.PIPE
    with subprocess.Popen([str(program)], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        try:
            output, _ = process.communicate(question, timeout=timeout_seconds)
        except BaseException:
            # Its session is its own, so that its process group is neither ours nor anybody else's.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _read_answer(name: str, status: int, output: bytes) -> HookResult:
    verdict = {0: Verdict.YES, EX_TEMPFAIL: Verdict.NOT_YET}.get(status, Verdict.NO)
    default = "" if verdict is Verdict.YES else f"{name} hook: exit status {status}"
    try:
        answer = json.loads(output or b"{}")
    except (ValueError, RecursionError):
        return HookResult(verdict, default)
    if not isinstance(answer, dict):
        return HookResult(verdict, default)
    measured, text, decision = answer.get("measured"), answer.get("text"), answer.get("decision")
    return HookResult(
        verdict,
        str(answer.get("message") or default),
        measured if isinstance(measured, dict) else {},
        decision=decision if decision in DECISIONS else "",
        by=str(answer.get("by") or ""),
        language=str(answer.get("language") or ""),
        text=text if isinstance(text, str) else None,
    )
