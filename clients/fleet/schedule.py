"""Who has a turn when: in real time with threads, or on a virtual clock, one after the other."""

import heapq
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

Turn = Callable[[], float | None]
"""One vehicle's cycle: returns the seconds until its next one, or None if it is never heard of again."""


class VirtualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance_to(self, moment: datetime) -> None:
        """Move to `moment`, never backwards."""
        self._now = max(self._now, moment)

    def sleep(self, seconds: float) -> None:
        """Stand in for time.sleep."""
        self._now += timedelta(seconds=seconds)


def run_virtual(
    turns: Sequence[Turn],
    clock: VirtualClock,
    *,
    until: datetime,
    spread_seconds: float,
    tick: Callable[[], None],
    tick_seconds: float,
    is_done: Callable[[], bool],
) -> None:
    """Give every vehicle its turns in the order of the virtual clock, with the server's ticks between them.

    First turns are spread over `spread_seconds`. Ends at `until`, or at the first tick after which `is_done`.
    """
    start = clock()
    step = spread_seconds / max(len(turns), 1)
    queue = [(start + timedelta(seconds=step * index), index) for index in range(len(turns))]
    heapq.heapify(queue)
    next_tick = start
    while True:
        upcoming = queue[0][0] if queue else until
        while next_tick <= min(upcoming, until):
            clock.advance_to(next_tick)
            tick()
            if is_done():
                return
            next_tick += timedelta(seconds=tick_seconds)
        if upcoming >= until:
            return
        clock.advance_to(upcoming)
        _, index = heapq.heappop(queue)
        wait = turns[index]()
        if wait is not None:
            heapq.heappush(queue, (clock() + timedelta(seconds=max(wait, 0.001)), index))


class RealSchedule:
    """A few threads that give every vehicle its turns until `stop` is called."""

    def __init__(
        self, turns: Sequence[Turn], *, clock: Callable[[], float], threads: int, spread_seconds: float
    ) -> None:
        self._turns = turns
        self._clock = clock
        self._changed = threading.Condition()
        self._is_stopped = False
        step = spread_seconds / max(len(turns), 1)
        self._queue = [(clock() + step * index, index) for index in range(len(turns))]
        heapq.heapify(self._queue)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let running turns end; returns when all have."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (index := self._next()) is not None:
            wait = self._turns[index]()
            if wait is not None:
                with self._changed:
                    heapq.heappush(self._queue, (self._clock() + max(wait, 0.05), index))
                    self._changed.notify()

    def _next(self) -> int | None:
        with self._changed:
            while not self._is_stopped:
                remaining = self._queue[0][0] - self._clock() if self._queue else None
                if remaining is not None and remaining <= 0:
                    return heapq.heappop(self._queue)[1]
                self._changed.wait(remaining)
            return None
