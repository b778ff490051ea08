"""Polls of a fleet as it grows: the rate with so many vehicles in the front, against the same with 10,000.

Each vehicle that is asked for polls once in a run, all over the fleet, and its contact is written. Both servers stand
on one database, which holds the largest fleet. Memory is the web process's, against what it may take.

BENCH_VEHICLES says how large the largest fleet is: 1000000 is what the goals were set for, and 1000 the least.
"""

import random
from itertools import cycle

from firmware_store.states import Profile
from otaserver import clock
from otaserver.director import operations as director
from otaserver.fleet.models import Vehicle
from tests.bench import fleets, http_load, measuring, poll
from tests.director.trust import Trust
from tests.factories import make_tenant

SMALL = 10_000
POLLING = 10_000
SECONDS = 1.0
MOST_BYTES = 400 * 1024**2


def measure(pairs: int) -> list[measuring.Figure]:
    largest = measuring.fleet_size(1_000_000, least=1_000)
    tenant = make_tenant("bench")
    Trust(tenant).publish_first_roots(at=clock.now())
    first = fleets.make_numbered_vehicles(tenant, largest)
    etag = _signed_for(first)
    figures = []
    with _server() as small:
        small_requests = _grow(small, tenant, etag, first, SMALL)[0]
        for size in (1_000, 100_000, largest):
            if size > largest:
                continue
            with _server() as grown:
                requests, taken = _grow(grown, tenant, etag, first, size)
                figures += _rates(size, largest, pairs, grown=(grown, requests), small=(small, small_requests))
                memory = [MOST_BYTES / taken]
            figures.append(measuring.summarise("growth", f"memory, {size:,} vehicles, of 400 MiB", memory, 1.0))
    return figures


def _server():
    return http_load.web_server("tests.bench.polled:application", begins=b"HTTP/1.1 304 ", ends=b"\r\n\r\n")


def _signed_for(first: int) -> str:
    """Sign for the first vehicle alone: what the others are answered is the same."""
    vehicle = Vehicle.objects.select_related("tenant").get(pk=first)
    fleets.give_token(vehicle)
    signed = director.metadata_for(vehicle, profile=Profile.TUF, at=clock.now())
    return poll.etag_of(signed)


def _grow(server, tenant, etag, first, size):
    """Return requests of vehicles all over a fleet of this size, and the memory that its answers take."""
    server.serve(cycle([poll.request(tenant, fleets.token_of(first), etag)]), count=50)
    taken = server.get(f"/bench/grow?first={first}&last={first + size - 1}")
    numbers = random.Random(1).sample(range(first, first + size), min(size, POLLING))
    return cycle([poll.request(tenant, fleets.token_of(number), etag) for number in numbers]), int(taken)


def _rates(size, largest, pairs, *, grown, small):
    """Compare two servers, each with the requests that it is asked."""
    case = f"polls with token, {size:,} vehicles against {SMALL:,}"
    return measuring.figures(
        "growth",
        ours=lambda: {case: grown[0].serve(grown[1], seconds=SECONDS).per_second},
        bare=lambda: {case: small[0].serve(small[1], seconds=SECONDS).per_second},
        pairs=pairs,
        goals={case: 0.9 if size == largest else None},
    )
