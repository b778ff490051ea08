"""What holds a downloaded order back: its window, the vehicle's state, its owner. The permit comes after."""

from dataclasses import dataclass, replace
from datetime import datetime

from clients.vehicle.hooks import ConsentQuestion, HookResult, Hooks, OwnerNotes, Verdict
from clients.vehicle.journal import Entry, Journal
from clients.vehicle.order import Order, parse_time
from clients.vehicle.reporter import Reporter


@dataclass(frozen=True)
class GateVerdict:
    """`status` is empty to go on, `held`, or the code with which the order is refused for good."""

    status: str = ""
    message: str = ""


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
        if order.preconditions:
            result = self._hooks.preconditions(order.preconditions)
            if result.verdict is Verdict.NO:
                return GateVerdict("precondition_failed", result.message)
            if result.verdict is Verdict.NOT_YET:
                return self._hold("precondition", result, at)
        if order.consent is not None:
            result = self._hooks.consent(self._question(order))
            if result.verdict is Verdict.NO:
                return GateVerdict("consent_refused", result.message)
            if result.verdict is Verdict.NOT_YET:
                return self._hold("consent", result, at)
        return GateVerdict()

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

    def _question(self, order: Order) -> ConsentQuestion:
        notes = order.notes_in(self._language)
        return ConsentQuestion(order.attempt, order.release, order.consent or {}, notes, self._language)

    def _present(self) -> Entry:
        if self._journal.entry is None:
            raise LookupError("nothing is held.")
        return self._journal.entry
