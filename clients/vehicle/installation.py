"""Fill the idle slots, and after the permit: switch all ECUs with one record, judge, keep or go back.

Nothing here needs the network. Each step may be repeated after a crash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from clients.vehicle.commit import CommitRecord
from clients.vehicle.config import Limits
from clients.vehicle.downloads import Downloads
from clients.vehicle.ecu import Link
from clients.vehicle.errors import NotNowError, Reason, VerificationError
from clients.vehicle.hooks import HookResult, Hooks, OwnerNotes, StagedImage, StagedRelease, Verdict
from clients.vehicle.journal import Entry, Journal, Step
from clients.vehicle.order import Order, Package, format_time, parse_time
from clients.vehicle.reporter import Reporter
from clients.vehicle.secondary import UNCONFIRMED, make_bundle
from clients.vehicle.slots import Slot, other
from clients.vehicle.trust import TrustStore


class Installation:
    """Stages the journal's order, and takes it from the switch to its end."""

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
        # The timestamp that all Secondaries have verified by themselves.
        self._offered = ""
        self._steps = {
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

    def offer(self, order: Order, timestamp_sha256: str) -> None:
        """Let the ECUs of `order` verify by themselves what the Primary has just verified, once for each timestamp.

        They keep what they have verified: when the order is staged, the metadata may have expired.

        Raises:
            VerificationError: an ECU refuses the order.
            NotNowError: an ECU is full, or finds expired what the Primary does not.
        """
        if self._offered == timestamp_sha256:
            return
        bundle = make_bundle(self._store.current)
        for package in self.missing(order):
            try:
                self._links[package.ecu].offer_metadata(bundle)
            except VerificationError as error:
                if error.reason is Reason.FREEZE:
                    raise NotNowError("metadata.expired", error.message) from error
                error.attempt = order.attempt
                raise
        self._offered = timestamp_sha256

    def stage(self, entry: Entry, at: datetime) -> str:
        """Fill the slots that do not run and let the install hook prepare them; nothing is switched by that.

        Returns `failed`, `waiting` for a hook that wants to be asked again later, or nothing when all is staged.

        Raises:
            NotNowError: an ECU is full, or can no longer confirm the order by itself.
            VerificationError: an ECU refuses the order (`attempt` is set), or the bytes that were downloaded.
        """
        try:
            self._fill(entry.order)
        except NotNowError as error:
            # Being out of reach of the Director is no fault of the release.
            if error.code == UNCONFIRMED or not self._is_staging_overdue(entry, at):
                raise
            return self._give_up_staging(entry, at, str(error))
        for image in self._staged(entry.order).images:
            result = self._hooks.install(image)
            if result.verdict is Verdict.NO:
                return self._end(entry, "failure", at, code="install_failed", message=f"{image.ecu}: {result.message}")
            if result.verdict is Verdict.NOT_YET:
                is_overdue = self._is_staging_overdue(entry, at)
                return self._give_up_staging(entry, at, f"{image.ecu}: {result.message}") if is_overdue else "waiting"
        return ""

    def run(self, at: datetime) -> str:
        """Take steps until the order has ended or the health hook wants to be asked again later.

        Returns `installed`, `failed` or `waiting`.

        Raises:
            NotNowError: the disk is full; the step is repeated in the next cycle.
        """
        while (entry := self._journal.entry) is not None:
            result = self._steps[entry.step](entry, at)
            if result:
                return result
        return "installed"

    def _fill(self, order: Order) -> None:
        for package in self.missing(order):
            path = self._downloads.path(package.image)
            try:
                self._links[package.ecu].stage(self._idle_slot(package.ecu), package, path)
            except VerificationError as error:
                if error.reason is Reason.IMAGE_UNKNOWN:
                    # It has forgotten what it verified (a new part, perhaps): offered again when the Director answers.
                    self._offered = ""
                    raise NotNowError(UNCONFIRMED, error.message) from error
                # Bytes that have changed since they were downloaded prove nothing.
                if error.reason not in (Reason.IMAGE_CORRUPT, Reason.OVERSIZED):
                    error.attempt = order.attempt
                raise

    def _is_staging_overdue(self, entry: Entry, at: datetime) -> bool:
        return abs(at - parse_time(entry.since)) > timedelta(seconds=self._limits.staging_seconds)

    def _give_up_staging(self, entry: Entry, at: datetime, waited_for: str) -> str:
        message = f"not ready within {self._limits.staging_seconds:g} s: {waited_for}"
        return self._end(entry, "failure", at, code="install_failed", message=message)

    def _switch(self, entry: Entry, at: datetime) -> str:
        current = self._record.current
        if current.state != "trial":
            serials = frozenset(package.ecu for package in self.missing(entry.order))
            self._record.write(current.trial_of(entry.order.attempt, serials))
        self._reporter.event(entry.order.attempt, "installed", at=at)
        self._journal.advance(Step.TRIAL, format_time(at))
        return ""

    def _judge(self, entry: Entry, at: datetime) -> str:
        result = self._ask_health(entry)
        is_overdue = abs(at - parse_time(entry.since)) > timedelta(seconds=self._limits.trial_seconds)
        if result.verdict is Verdict.NOT_YET and not is_overdue:
            return "waiting"
        if result.verdict is Verdict.YES:
            self._journal.advance(Step.CONFIRMING, format_time(at))
        else:
            code = "reverted" if result is _TOO_OFTEN else "health_failed"
            self._journal.advance(Step.REVERTING, format_time(at), code=code, message=result.message)
        return ""

    def _ask_health(self, entry: Entry) -> HookResult:
        """Ask under a mark that stays if there is no answer: a release that cuts its trials short goes back by that."""
        starts = self._record.current.starts
        if starts >= self._limits.trial_starts:
            return _TOO_OFTEN
        self._record.write(replace(self._record.current, starts=starts + 1))
        result = self._hooks.health(self._running(entry.order))
        if result.verdict is not Verdict.NO:
            # This trial was not cut short, though a full disk may keep the next step from being noted.
            self._record.write(replace(self._record.current, starts=starts))
        return result

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
