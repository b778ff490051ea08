"""What holds a downloaded order back: its window, the vehicle's state, its owner. The permit comes after."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from clients.vehicle import conditions, consent
from clients.vehicle.hooks import HookResult, Hooks, OwnerNotes, Verdict
from clients.vehicle.journal import Entry, Journal
from clients.vehicle.order import parse_time
from clients.vehicle.reporter import Reporter


@dataclass(frozen=True)
class GateVerdict:
    """`status` is empty to go on, `held`, or the code with which the order is refused for good."""

    status: str = ""
    message: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)


class Gate:
    """Asks in order: window, preconditions, consent."""

    def __init__(self, hooks: Hooks, journal: Journal, reporter: Reporter, language: str) -> None:
        self._hooks = hooks
        self._journal = journal
        self._reporter = reporter
        self._language = language

    def judge(self, entry: Entry, at: datetime) -> GateVerdict:
        """Say whether the order may go on now; what holds it is reported when it changes."""
        order = entry.order
        if order.not_before and at < parse_time(order.not_before):
            return self._hold("not_before", HookResult(message=f"not before {order.not_before}"), at)
        window = self.judge_window(entry, at)
        if window.status:
            return window
        if order.preconditions:
            result = self._hooks.preconditions(order.preconditions)
            # Whatever the hook makes of them: it is the measured values that must meet what was signed.
            lacking = conditions.unmet(order.preconditions, result.measured)
            message = result.message or "; ".join(lacking)
            if result.verdict is Verdict.NO:
                return GateVerdict("precondition_failed", message, result.measured)
            if result.verdict is Verdict.NOT_YET or lacking:
                return self._hold("precondition", replace(result, message=message), at)
        return GateVerdict() if order.consent is None else self._ask(entry, at)

    def judge_window(self, entry: Entry, at: datetime) -> GateVerdict:
        """Say whether one of the order's windows is open now: asked again right before anything is switched."""
        order = entry.order
        if order.is_open(at):
            return GateVerdict()
        starts = sorted(start for start, _ in order.windows or () if parse_time(start) > at)
        message = f"the next window opens at {starts[0]}" if starts else "the list of windows is used up"
        return self._hold("window", HookResult(message=message), at)

    def show_notes(self, entry: Entry) -> None:
        """Show the release notes before the installation, once."""
        order = entry.order
        text = order.notes_in(self._language)
        if text and not entry.are_notes_shown:
            self._hooks.notes(OwnerNotes(order.attempt, order.release, "before", text, self._language))
            self._journal.write(replace(self._present(), are_notes_shown=True))

    def _hold(self, code: str, result: HookResult, at: datetime) -> GateVerdict:
        entry = self._present()
        message = result.message or code
        if entry.held != f"{code} {dict(result.measured)}":
            self._journal.write(replace(entry, held=f"{code} {dict(result.measured)}"))
            self._reporter.event(
                entry.order.attempt, "held", at=at, code=code, message=message, measured=result.measured
            )
        return GateVerdict("held", message)

    def _ask(self, entry: Entry, at: datetime) -> GateVerdict:
        """Ask the owner, unless the answer is known or was put off; how far that is, is written down first."""
        order = entry.order
        asking = consent.asking_about(order, entry.asking)
        if asking.decision:
            return GateVerdict()
        if consent.is_resting(order, asking, at):
            return self._hold("consent", HookResult(message=f"put off until {asking.not_before}"), at)
        asked = consent.question(order, asking, self._language, at)
        result = self._hooks.consent(asked)
        answer = consent.answered(order, asking, asked, result, at)
        if answer.record:
            self._reporter.consent(order.attempt, consent.record(order, asked, result, answer.record), at=at)
        if answer.is_refused:
            return GateVerdict("consent_refused", result.message)
        if answer.asking != entry.asking:
            self._journal.write(replace(self._present(), asking=answer.asking))
        return GateVerdict() if answer.asking.decision else self._hold("consent", result, at)

    def _present(self) -> Entry:
        if self._journal.entry is None:
            raise LookupError("nothing is held.")
        return self._journal.entry
