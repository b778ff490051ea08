"""The steps after the permit: fill the idle slots, switch all ECUs with one record, judge, keep or go back.

Nothing here needs the network. Each step may be repeated after a crash.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from clients.vehicle.commit import CommitRecord
from clients.vehicle.config import Limits
from clients.vehicle.downloads import Downloads
from clients.vehicle.ecu import Link
from clients.vehicle.errors import VerificationError
from clients.vehicle.hooks import HookResult, Hooks, OwnerNotes, StagedImage, StagedRelease, Verdict
from clients.vehicle.journal import Entry, Journal, Step
from clients.vehicle.order import Order, Package, format_time, parse_time
from clients.vehicle.reporter import Reporter
from clients.vehicle.secondary import make_bundle
from clients.vehicle.slots import Slot, other
from clients.vehicle.trust import TrustStore


class Installation:
    """Takes the journal's order from staging to its end."""

    def __init__(
        self,
        *,
        links: Sequence[Link],
        record: CommitRecord,
        journal: Journal,
        downloads: Downloads,
        store: TrustStore,
        hooks: Hooks,
        reporter: Reporter,
        limits: Limits,
        language: str,
        may_switch: Callable[[Order], bool] = lambda order: True,
    ) -> None:
        self._links = {link.serial: link for link in links}
        self._record = record
        self._journal = journal
        self._downloads = downloads
        self._store = store
        self._hooks = hooks
        self._reporter = reporter
        self._limits = limits
        self._language = language
        self._may_switch = may_switch
        # The attempt whose trial this process has counted as started.
        self._started = ""
        self._steps = {
            Step.STAGING: self._stage,
            Step.SWITCHING: self._switch,
            Step.TRIAL: self._judge,
            Step.CONFIRMING: self._confirm,
            Step.REVERTING: self._revert,
        }

    def missing(self, order: Order) -> list[Package]:
        """Return the packages that their ECUs do not run yet."""
        slots = self._record.current.slots
        return [
            package
            for package in order.packages
            if self._links[package.ecu].installed(slots[package.ecu]) != package.image
        ]

    def run(self, at: datetime) -> str:
        """Take steps until the order has ended or a hook wants to be asked again later.

        Returns `installed`, `failed`, `waiting`, or `held` where the window has shut meanwhile.

        Raises:
            NotNowError: the disk is full; the step is repeated in the next cycle.
        """
        while (entry := self._journal.entry) is not None:
            result = self._steps[entry.step](entry, at)
            if result:
                return result
        return "installed"

    def _stage(self, entry: Entry, at: datetime) -> str:
        try:
            bundle = make_bundle(self._store.current)
            for package in self.missing(entry.order):
                link = self._links[package.ecu]
                link.offer_metadata(bundle)
                link.stage(self._idle_slot(package.ecu), package, self._downloads.path(package.image))
        except VerificationError as error:
            self._reporter.attack(str(error))
            return self._end(entry, "failure", at, code="verification_failed", message=str(error))
        for image in self._staged(entry.order).images:
            result = self._hooks.install(image)
            if result.verdict is Verdict.NOT_YET:
                return "waiting"
            if result.verdict is Verdict.NO:
                return self._end(entry, "failure", at, code="install_failed", message=f"{image.ecu}: {result.message}")
        self._journal.advance(Step.SWITCHING, format_time(at))
        return ""

    def _switch(self, entry: Entry, at: datetime) -> str:
        current = self._record.current
        if current.state != "trial" and not self._may_switch(entry.order):
            return self._hold(entry, at)
        if current.state != "trial":
            serials = frozenset(package.ecu for package in self.missing(entry.order))
            self._record.write(current.trial_of(entry.order.attempt, serials))
        self._reporter.event(entry.order.attempt, "installed", at=at)
        self._journal.advance(Step.TRIAL, format_time(at))
        return ""

    def _hold(self, entry: Entry, at: datetime) -> str:
        """Go back to the gate: the window shut while the slots were filled, and nothing has been switched yet."""
        message = "the window shut before the new software could be switched to"
        self._reporter.event(entry.order.attempt, "held", at=at, code="window", message=message)
        self._journal.advance(Step.GATE, format_time(at), held="window {}")
        return "held"

    def _judge(self, entry: Entry, at: datetime) -> str:
        result = self._start_trial(entry) or self._hooks.health(self._running(entry.order))
        is_overdue = abs(at - parse_time(entry.since)) > timedelta(seconds=self._limits.trial_seconds)
        if result.verdict is Verdict.NOT_YET and not is_overdue:
            return "waiting"
        if result.verdict is Verdict.YES:
            self._journal.advance(Step.CONFIRMING, format_time(at))
        else:
            code = "reverted" if result is _TOO_OFTEN else "health_failed"
            self._journal.advance(Step.REVERTING, format_time(at), code=code, message=result.message)
        return ""

    def _start_trial(self, entry: Entry) -> HookResult | None:
        """Count this process's start of the trial; a release that keeps the vehicle from staying up goes back."""
        if self._started == entry.order.attempt:
            return None
        starts = self._record.current.starts + 1
        if starts > self._limits.trial_starts:
            return _TOO_OFTEN
        self._record.write(replace(self._record.current, starts=starts))
        self._started = entry.order.attempt
        return None

    def _confirm(self, entry: Entry, at: datetime) -> str:
        counters = {package.ecu: package.image.release_counter for package in entry.order.packages}
        if self._record.current.state == "trial":
            self._record.write(self._record.current.confirmed(counters))
        for serial in counters:
            self._links[serial].commit(self._record.current.slots[serial])
        order = entry.order
        if text := order.notes_in(self._language):
            self._hooks.notes(OwnerNotes(order.attempt, order.release, "after", text, self._language))
        return self._end(entry, "success", at)

    def _revert(self, entry: Entry, at: datetime) -> str:
        if self._record.current.state == "trial":
            self._record.write(self._record.current.reverted())
        return self._end(entry, "failure", at, code=entry.code, message=entry.message)

    def _end(self, entry: Entry, outcome: str, at: datetime, *, code: str = "", message: str = "") -> str:
        self._reporter.finish(entry.order.attempt, outcome, at=at, code=code, message=message)
        self._journal.close()
        self._downloads.clear()
        return "installed" if outcome == "success" else "failed"

    def _idle_slot(self, serial: str) -> Slot:
        return other(self._record.current.slots[serial])

    def _staged(self, order: Order) -> StagedRelease:
        return self._describe(order, {package.ecu: self._idle_slot(package.ecu) for package in self.missing(order)})

    def _running(self, order: Order) -> StagedRelease:
        return self._describe(order, self._record.current.slots)

    def _describe(self, order: Order, slots: Mapping[str, Slot]) -> StagedRelease:
        images = tuple(
            StagedImage(
                ecu=package.ecu,
                hardware_id=package.hardware_id,
                target_name=package.image.target_name,
                name=package.image.name,
                version=package.image.version,
                slot=slots[package.ecu],
                path=str(self._links[package.ecu].image_path(slots[package.ecu])),
            )
            for package in order.packages
            if package.ecu in slots
        )
        return StagedRelease(order.attempt, order.campaign, order.release, images)


_TOO_OFTEN = HookResult(Verdict.NO, "the trial was cut short too often.")
