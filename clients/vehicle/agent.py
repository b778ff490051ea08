"""The Primary: one poll cycle after another, and every order from the Director to its end."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from clients.vehicle import schedule
from clients.vehicle.commit import CommitRecord
from clients.vehicle.config import VehicleConfig
from clients.vehicle.credentials import Credentials
from clients.vehicle.disk import Disk, pass_checkpoint
from clients.vehicle.downloads import Downloads
from clients.vehicle.errors import InternalError, NotNowError, RejectedError, VehicleError, VerificationError
from clients.vehicle.gate import Gate, GateVerdict
from clients.vehicle.health import Health
from clients.vehicle.hooks import Hooks
from clients.vehicle.installation import Installation
from clients.vehicle.journal import INSTALLING, Entry, Journal, Step
from clients.vehicle.logs import VehicleLog
from clients.vehicle.order import Order, format_time, parse_time
from clients.vehicle.polling import Polling
from clients.vehicle.reporter import Reporter
from clients.vehicle.repository import Vehicle
from clients.vehicle.secondary import make_ecus
from clients.vehicle.server import Server
from clients.vehicle.state import State
from clients.vehicle.trust import TrustStore
from clients.vehicle.verification import Verifier

# Nothing is switched without a Director's timestamp that was verified within these, or within the order's grace.
PERMIT_SECONDS = 60


def system_time() -> datetime:
    return datetime.now(tz=UTC)


@dataclass(frozen=True)
class CycleResult:
    """How a cycle went and when the next one is due.

    `status`: idle, held, waiting (a hook wants to be asked again), installed, failed, refused, withdrawn, or when the
    cycle ended early, not_now or never; `detail` then starts with the error's code.
    """

    next_seconds: float
    status: str
    detail: str = ""


class Agent:
    """One vehicle. All its state is in `config.state_dir`; there is nothing global, so many can share a process.

    `checkpoint` is called by name around everything that is written, for tests that pull the plug there; without
    `is_durable` nothing is synced to disk, for simulated fleets.
    """

    def __init__(
        self,
        config: VehicleConfig,
        *,
        hooks: Hooks,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], datetime] = system_time,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        checkpoint: Callable[[str], None] = pass_checkpoint,
        is_durable: bool = True,
    ) -> None:
        config.state_dir.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._failures = 0
        self._limits = config.limits
        disk = Disk(checkpoint, is_durable=is_durable)
        self._log = VehicleLog(config.vehicle_id, clock)
        self._state = State(config.state_dir / "state.json", disk)
        self._default_polling_seconds = config.polling_seconds
        self._server = Server(config, transport=transport, monotonic=monotonic)
        self._record = CommitRecord(config.state_dir / "commit.json", tuple(config.hardware), disk)
        self._journal = Journal(config.state_dir / "journal.json", disk)
        primary, links = make_ecus(config, clock=clock, disk=disk)
        store = TrustStore(config.state_dir / "trust", disk)
        store.initialise({"director": config.director_root, "image": config.image_root})
        verifier = Verifier(store, Vehicle(config.vehicle_id, config.hardware), config.limits, disk)
        self._credentials = Credentials(config, self._server, links, disk, self._log)
        self._polling = Polling(server=self._server, store=store, verifier=verifier, state=self._state)
        self._verifier = verifier
        self._downloads = Downloads(config.state_dir / "downloads", self._server, disk, monotonic=monotonic)
        self._reporter = Reporter(
            config,
            primary=primary,
            links=links,
            record=self._record,
            state=self._state,
            server=self._server,
            log=self._log,
        )
        self._health = Health(hooks, server=self._server, state=self._state, log=self._log)
        self._gate = Gate(hooks, self._journal, self._reporter, config.language)
        self._installation = Installation(
            links=links,
            record=self._record,
            journal=self._journal,
            downloads=self._downloads,
            store=store,
            hooks=hooks,
            reporter=self._reporter,
            limits=config.limits,
            language=config.language,
        )

    def close(self) -> None:
        self._server.close()

    def run_forever(self) -> None:
        """Run cycle after cycle."""
        while True:
            self._sleep(self.run_once().next_seconds)

    def run_once(self) -> CycleResult:
        """Run one cycle. Never raises, whatever a server sends, a network does or a hook raises."""
        error: VehicleError | None = None
        status, detail = "", ""
        try:
            status, detail = self._cycle()
        except VehicleError as caught:
            error = caught
        except Exception as caught:  # a vehicle that stops asking cannot be mended over the air
            error = self._note_defect(caught)
        error = self._report(error)
        if error is not None:
            return self._failed(error, status or ("not_now" if isinstance(error, NotNowError) else "never"))
        self._failures = 0
        return CycleResult(schedule.after_success(self._polling_seconds(), self._rng), status, detail)

    def _cycle(self) -> tuple[str, str]:
        self._polling.wants_manifest = False
        self._polling.wanted_signals = ()
        entry = self._unfinished()
        if entry is None or entry.step not in INSTALLING:
            return self._follow_orders(entry)
        # What was begun is ended first, and needs no network.
        ended = (self._install(), entry.order.release)
        if ended[0] == "waiting":
            return ended
        followed = self._follow_orders(None)
        return ended if followed[0] == "idle" else followed

    def _unfinished(self) -> Entry | None:
        """Return what goes on; an order whose end was noted before a crash could close it is closed now."""
        entry = self._journal.entry
        if entry is None or entry.step in INSTALLING or entry.order.attempt not in self._state.memory.finished:
            return entry
        self._journal.close()
        self._downloads.clear()
        return None

    def _follow_orders(self, entry: Entry | None) -> tuple[str, str]:
        self._credentials.ensure(self._now())
        if not self._poll_or_rely_on_grace(entry):
            return self._advance(entry)
        status, detail = self._reconcile()
        entry = self._journal.entry
        if status or entry is None:
            return status, detail
        self._installation.offer(entry.order, self._polling.timestamp_sha256)
        return self._advance(entry)

    def _poll_or_rely_on_grace(self, entry: Entry | None) -> bool:
        """Poll; False if that is impossible but the pending order may be installed offline."""
        try:
            self._poll(is_fresh=entry is not None)
        except NotNowError:
            if entry is None or entry.step is Step.DOWNLOADING or not self._is_in_grace(entry.order):
                raise
            return False
        return True

    def _poll(self, *, is_fresh: bool) -> None:
        self._polling.poll(
            self._clock(),
            is_fresh=is_fresh,
            counters=dict(self._record.current.counters),
            wants_images=self._wants_images,
        )

    def _wants_images(self, order: Order) -> bool:
        return order.attempt not in self._state.memory.finished and bool(self._installation.missing(order))

    def _reconcile(self) -> tuple[str, str]:
        """Make the journal follow the order: withdraw what is no longer ordered, begin what is new."""
        order, entry = self._polling.order, self._journal.entry
        withdrawn = ""
        if entry is not None and (order is None or order.attempt != entry.order.attempt):
            withdrawn = entry.order.release
            self._end(entry.order, "refused", "withdrawn", "the Director no longer orders it.")
            entry = None
        if order is not None and order.attempt not in self._state.memory.finished:
            if entry is None:
                self._begin(order)
            elif entry.order != order:
                # Where its files changed too, what is downloaded stays.
                step = entry.step if entry.order.packages == order.packages else Step.DOWNLOADING
                self._journal.write(replace(entry, order=order, step=step))
        if self._journal.entry is None:
            return ("withdrawn", withdrawn) if withdrawn else ("idle", "")
        return "", ""

    def _begin(self, order: Order) -> None:
        now = self._now()
        if not self._installation.missing(order):
            self._reporter.finish(order.attempt, "success", at=now, message="already installed.")
            return
        self._journal.write(Entry(Step.DOWNLOADING, order, format_time(now)))
        self._reporter.event(order.attempt, "downloading", at=now, progress=0)

    def _advance(self, entry: Entry | None) -> tuple[str, str]:
        if entry is None:
            return "idle", ""
        if entry.step is Step.DOWNLOADING:
            entry = self._download(entry)
            if entry is None:
                return "failed", "download_failed"
            # It may have taken hours.
            if not self._is_permit_new() and (ended := self._ask_permit(entry.order)):
                return ended
        verdict = self._gate.judge(entry, self._now())
        if verdict.status:
            return self._stop_at_gate(entry, verdict)
        return self._pass_gate(entry)

    def _download(self, entry: Entry) -> Entry | None:
        order = entry.order
        for package in self._installation.missing(order):
            try:
                self._downloads.fetch(package.image, lambda percent: self._report_progress(order, percent))
            except RejectedError as error:
                self._end(order, "failure", "download_failed", str(error))
                return None
            except VerificationError as error:
                self._count_bad_download(entry, error)
                return None
        now = self._now()
        self._reporter.event(order.attempt, "downloaded", at=now, progress=100)
        return self._journal.advance(Step.GATE, format_time(now))

    def _count_bad_download(self, entry: Entry, error: VerificationError) -> None:
        """Fetch all of it again in the next cycle, or end the order if that has been tried often enough.

        Raises:
            VerificationError: it is tried again.
        """
        bad = entry.bad_downloads + 1
        if bad < self._limits.bad_downloads:
            self._journal.write(replace(entry, step=Step.DOWNLOADING, bad_downloads=bad))
            raise error
        self._reporter.attack(str(error))
        self._end(entry.order, "failure", "download_failed", f"{bad} downloads were not what was signed: {error}")

    def _report_progress(self, order: Order, percent: int) -> None:
        self._reporter.event(order.attempt, "downloading", at=self._now(), progress=percent)

    def _stop_at_gate(self, entry: Entry, verdict: GateVerdict) -> tuple[str, str]:
        if verdict.status != "held":
            self._end(entry.order, "refused", verdict.status, verdict.message, verdict.measured)
            return "refused", f"{verdict.status}: {verdict.message}"
        if entry.step is Step.STAGING:
            # From the start, when it may go on: what waits for its owner does not wait for an install hook.
            self._journal.advance(Step.GATE, format_time(self._now()))
        return "held", verdict.message

    def _pass_gate(self, entry: Entry) -> tuple[str, str]:
        """Stage, which can be repeated and withdrawn, and with a new permit switch, which cannot."""
        self._gate.show_notes(entry)
        if entry.step is not Step.STAGING:
            entry = self._journal.advance(Step.STAGING, format_time(self._now()))
        staged = self._stage(entry)
        if staged:
            return staged, entry.order.release
        if ended := self._ask_permit(entry.order):
            return ended
        # Staging and the Director's answer may have taken their time: the car may drive, the window be shut.
        verdict = self._gate.judge(self._journal.entry or entry, self._now())
        if verdict.status:
            return self._stop_at_gate(self._journal.entry or entry, verdict)
        # And so may the hooks that were asked just now.
        if not self._is_permit_new() and (ended := self._ask_permit(entry.order)):
            return ended
        window = self._gate.judge_window(self._journal.entry or entry, self._now())
        if window.status:
            return self._stop_at_gate(self._journal.entry or entry, window)
        now = self._now()
        self._journal.advance(Step.SWITCHING, format_time(now))
        self._reporter.event(entry.order.attempt, "installing", at=now)
        self._flush_quietly()
        return self._install(), entry.order.release

    def _stage(self, entry: Entry) -> str:
        try:
            return self._installation.stage(entry, self._now())
        except VerificationError as error:
            if not error.attempt:
                self._downloads.clear()
                self._count_bad_download(entry, error)
                return "failed"
            raise

    def _ask_permit(self, order: Order) -> tuple[str, str] | None:
        """Ask the Director once more; returns how the cycle ends if `order` does not stand as it did.

        Raises:
            NotNowError: there is no answer, or none in time, and the order has no grace left.
        """
        try:
            self._poll(is_fresh=True)
        except NotNowError:
            if not self._is_in_grace(order):
                raise
            return None
        if self._polling.order != order:
            status, detail = self._reconcile()
            # A changed order starts over in the next cycle, through its own gate.
            return (status, detail) if status else ("held", "the order has changed.")
        if not self._is_permit_new() and not self._is_in_grace(order):
            raise NotNowError("permit.late", f"the Director's answer took longer than {PERMIT_SECONDS} s.")
        return None

    def _install(self) -> str:
        return self._installation.run(self._now())

    def _is_permit_new(self) -> bool:
        return self._was_verified_within(timedelta(seconds=PERMIT_SECONDS))

    def _is_in_grace(self, order: Order) -> bool:
        # A clock that stands behind a signed time is dead: with it grace would never end.
        is_alive = self._now() - self._clock() <= timedelta(seconds=PERMIT_SECONDS)
        is_within = order.grace_hours is not None and self._was_verified_within(timedelta(hours=order.grace_hours))
        return is_alive and is_within

    def _was_verified_within(self, longest: timedelta) -> bool:
        verified = self._state.memory.verified_at
        return bool(verified) and timedelta(0) <= self._now() - parse_time(verified) <= longest

    def _end(
        self, order: Order, outcome: str, code: str, message: str, measured: Mapping[str, Any] | None = None
    ) -> None:
        self._reporter.finish(order.attempt, outcome, at=self._now(), code=code, message=message, measured=measured)
        if self._journal.entry is not None:
            self._journal.close()
        self._downloads.clear()

    def _report(self, error: VehicleError | None) -> VehicleError | None:
        """Note how the cycle went and send what is due; returns the first error."""
        try:
            if isinstance(error, VerificationError):
                self._note_refusal(error)
            elif isinstance(error, NotNowError) and error.is_suspicious:
                self._reporter.attack(str(error))
            self._state.save()
            if self._credentials.is_enrolled:
                self._reporter.send_due(self._now(), is_wanted=self._polling.wants_manifest)
                self._health.send_due(self._polling.wanted_signals, at=self._now())
        except VehicleError as caught:
            return error or caught
        except Exception as caught:
            return error or self._note_defect(caught)
        return error

    def _note_defect(self, error: Exception) -> InternalError:
        self._log.defect(error)
        return InternalError(error)

    def _note_refusal(self, error: VerificationError) -> None:
        self._reporter.attack(str(error))
        if not error.attempt:
            return
        self._reporter.finish(error.attempt, "failure", at=self._now(), code="verification_failed", message=str(error))
        entry = self._journal.entry
        if entry is not None and entry.order.attempt == error.attempt:
            self._journal.close()
            self._downloads.clear()

    def _flush_quietly(self) -> None:
        try:
            self._reporter.flush()
        except VehicleError as error:
            self._log.warning("events kept for later", code=error.code, detail=error.message)

    def _failed(self, error: VehicleError, status: str) -> CycleResult:
        self._failures += 1
        self._log.warning(status, code=error.code, detail=error.message)
        retry_after = error.retry_after_seconds if isinstance(error, NotNowError) else None
        seconds = schedule.after_failure(self._failures, self._polling_seconds(), retry_after, self._rng)
        return CycleResult(seconds, status, str(error))

    def _polling_seconds(self) -> float:
        return self._state.memory.polling_seconds or self._default_polling_seconds

    def _now(self) -> datetime:
        return self._verifier.trusted_time(self._clock())
