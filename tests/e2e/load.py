"""Many DDI vehicles on a few connections, who write down every answer: what they sent, when, and what came back.

Only the protocol, by hand: a client with signatures and files costs more than the server that it asks.
"""

import asyncio
import hashlib
import json
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import urlsplit

LANES = 24
OFFER, TAKEN_BACK = "deploymentBase", "cancelAction"
INSTALL_STEPS = 5


@dataclass(frozen=True)
class Heard:
    """One request and its answer. Status 0: none came; what became of the request nobody knows."""

    car: str
    sent_at: float
    heard_at: float
    status: int
    retry_after: int = 0
    # Of a poll: what it was offered, or told to give up.
    link: str = ""
    number: int = 0
    # Of a report: as the server has to store it.
    report_id: str = ""
    is_last: bool = False


@dataclass
class Said:
    """Everything that was heard, by all vehicles."""

    polls: list[Heard] = field(default_factory=list)
    reports: list[Heard] = field(default_factory=list)

    @property
    def all(self):
        return [*self.polls, *self.reports]

    def stored(self):
        """Every report that the server said it has."""
        return {(each.car, each.number, each.report_id) for each in self.reports if each.status == 200}

    def statuses(self):
        return Counter(each.status for each in self.all)


def bodies(number):
    """What a vehicle says of an order, in turn: it downloads, installs in steps, and is done."""
    said = [("download", "none", None), ("downloaded", "none", None)]
    said += [("proceeding", "none", step) for step in range(1, INSTALL_STEPS + 1)]
    for execution, finished, step in [*said, ("closed", "success", None)]:
        progress = {} if step is None else {"progress": {"cnt": step, "of": INSTALL_STEPS}}
        yield body_of(number, execution, {"finished": finished} | progress)


def body_of(number, execution, result):
    return {"id": str(number), "status": {"execution": execution, "result": result}}


class Lane:
    """One kept connection."""

    def __init__(self, host, port):
        self._address = host, port
        self._streams = None

    async def ask(self, request):
        """Return the status, the head and the body of the answer, or 0 where none came."""
        try:
            return await asyncio.wait_for(self._ask(request), 60)
        except (OSError, EOFError, TimeoutError):
            self.close()
            return 0, "", b""

    async def _ask(self, request):
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(value_of(head, "content-length") or 0))
        if value_of(head, "connection") == "close":
            self.close()
        return int(head.split(" ", 2)[1]), head, body

    def close(self):
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
        self._streams = None


def value_of(head, name):
    _, found, rest = head.partition(f"\r\n{name}:")
    return rest.partition("\r\n")[0].strip() if found else ""


class Load:
    """Vehicles that live until `is_over`: they poll, do what they are told, and repeat what was not answered."""

    def __init__(self, url, names, token, *, pause):
        address = urlsplit(url)
        self._lanes = asyncio.Queue()
        for _ in range(LANES):
            self._lanes.put_nowait(Lane(address.hostname, address.port))
        self._head = f"Host: {address.netloc}\r\nAuthorization: TargetToken {token}\r\nUser-Agent: load/1\r\n"
        self._names = names
        self._pause = pause
        self.said = Said()
        self.is_over = False

    async def run(self):
        await asyncio.gather(*[self._live(name) for name in self._names])
        while not self._lanes.empty():
            self._lanes.get_nowait().close()

    async def _live(self, car):
        chance, orders = random.Random(car), {}
        while not self.is_over:
            await asyncio.sleep(self._pause * chance.uniform(0.5, 1.5))
            poll = await self._poll(car)
            if poll.link == OFFER:
                steps = orders.setdefault(poll.number, list(bodies(poll.number)))
                if steps and await self._report(poll, steps[0], is_last=len(steps) == 1):
                    steps.pop(0)
            elif poll.link == TAKEN_BACK:
                await self._report(poll, body_of(poll.number, "closed", {"finished": "success"}), is_last=True)

    async def _poll(self, car):
        sent_at = monotonic()
        status, head, body = await self._ask("GET", f"/acme/controller/v1/{car}")
        links = json.loads(body).get("_links", {}) if status == 200 else {}
        link = next((name for name in (TAKEN_BACK, OFFER) if name in links), "")
        number = int(links[link]["href"].partition("?")[0].rpartition("/")[2]) if link else 0
        heard = Heard(car, sent_at, monotonic(), status, retry_after(head), link, number)
        self.said.polls.append(heard)
        return heard

    async def _report(self, poll, body, *, is_last):
        """Return whether the server has it: it says so, or, of one that was sent again, that all is over."""
        report_id = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        sent_at = monotonic()
        path = f"/acme/controller/v1/{poll.car}/{poll.link}/{poll.number}/feedback"
        status, head, _ = await self._ask("POST", path, json.dumps(body).encode())
        self.said.reports.append(
            Heard(poll.car, sent_at, monotonic(), status, retry_after(head), poll.link, poll.number, report_id, is_last)
        )
        return status in (200, 410)

    async def _ask(self, method, path, body=b""):
        content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        lane = await self._lanes.get()
        try:
            return await lane.ask(f"{method} {path} HTTP/1.1\r\n{self._head}{content}\r\n".encode() + body)
        finally:
            self._lanes.put_nowait(lane)


def retry_after(head):
    return int(value_of(head, "retry-after") or 0)
