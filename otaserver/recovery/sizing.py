"""How much machine a fleet needs: the arithmetic of docs/sizing.md. Pure.

Constants are measured on one machine (2 cores of a shared virtual one, Debian 12, Python 3.11) and rounded up; where a
bench measures them the comment names it. Another machine is another factor: run `make bench` on it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# A bare constant answer of granian takes 28 µs of a core; per second of CPU the poll front reached 0.68 of that on
# SQLite, contacts included, and 0.47 beside other work: sized for the latter (bench `poll`).
POLL_MICROSECONDS = 60
# An answer that is kept ends after six hours, and Django is asked anew: by each process of the vehicle's group, two in
# deploy/, and with so many queries.
ANEW_SECONDS = 6 * 3600
GROUP_PROCESSES = 2
ANEW_QUERIES = 7
# nginx's part of a poll, which comes over a connection of its own: a whole TLS handshake in which both show a
# certificate (P-256; with a server's key of RSA 2048 it is 1,300).
HANDSHAKE_MICROSECONDS = 1000
# The buffered write of the last contact, in batches, on PostgreSQL: also its indexes.
CONTACT_MICROSECONDS = 40
# A request that Django answers, with middleware (0.064 of bare granian), and each of its queries.
REQUEST_MICROSECONDS = 450
QUERY_MICROSECONDS = 1000
# PostgreSQL's own part of a query.
DATABASE_QUERY_MICROSECONDS = 300
# One update, from the order to the first poll after the proof, by the dearest of the protocols (docs/vehicle-api.md).
UPDATE_REQUESTS = 25
UPDATE_QUERIES = 90
# Targets, snapshot and timestamp of one vehicle by python-tuf's objects: 1,900 vehicles per second (bench `metadata`).
SIGNING_MICROSECONDS = 530
# A Director's timestamp is signed anew when a quarter of its day is left.
SIGNING_SECONDS = 18 * 3600
# nginx with sendfile or X-Accel-Redirect, TLS included.
DOWNLOAD_CORE_SECONDS_PER_GB = 1.0
# What a web process keeps of each vehicle that polls it, as the front reckons it for DDI's, and by itself. Those with
# the reference client or Mender's take 200, with aktualizr 600.
CACHED_BYTES = 370
PROCESS_BYTES = 150 * 1024**2
# Rows and indexes, of a vehicle with two ECUs and of each of its updates while reports are kept.
VEHICLE_BYTES = 24 * 1024
UPDATE_BYTES = 12 * 1024
# Busy cores are planned to be half of all: vehicles call unevenly, and one host of two may be away.
LOAD = 0.5
DAY_SECONDS = 86_400
YEAR_DAYS = 365


@dataclass(frozen=True)
class Fleet:
    """What is asked: each update downloads `package_bytes`, and all of the fleet takes one in `campaign_days`."""

    vehicles: int
    poll_seconds: int
    campaign_days: int = 14
    package_bytes: int = 200 * 1000**2
    updates_per_year: int = 6


@dataclass(frozen=True)
class Row:
    """One step of the arithmetic: what, how it is calculated, the result and its unit."""

    what: str
    arithmetic: str
    value: float
    unit: str


def rows(fleet: Fleet) -> Sequence[Row]:
    """Return the arithmetic from the fleet to cores, memory, disk and line, in the order in which it is read."""
    polls = fleet.vehicles / fleet.poll_seconds
    poll_cores = polls * POLL_MICROSECONDS / 1e6
    updates = fleet.vehicles / (fleet.campaign_days * DAY_SECONDS)
    update_microseconds = UPDATE_REQUESTS * REQUEST_MICROSECONDS + UPDATE_QUERIES * QUERY_MICROSECONDS
    update_cores = updates * update_microseconds / 1e6
    signing_cores = fleet.vehicles / SIGNING_SECONDS * SIGNING_MICROSECONDS / 1e6
    anew = min(polls, fleet.vehicles * GROUP_PROCESSES / ANEW_SECONDS)
    anew_cores = anew * (REQUEST_MICROSECONDS + ANEW_QUERIES * QUERY_MICROSECONDS) / 1e6
    busy = poll_cores + anew_cores + update_cores + signing_cores
    processes = max(2, math.ceil(busy / LOAD))
    kept_answers = fleet.vehicles * GROUP_PROCESSES * CACHED_BYTES
    memory = processes * PROCESS_BYTES + kept_answers
    queries = anew * ANEW_QUERIES + updates * UPDATE_QUERIES
    database = (polls * CONTACT_MICROSECONDS + queries * DATABASE_QUERY_MICROSECONDS) / 1e6
    bytes_per_second = updates * fleet.package_bytes
    kept = fleet.vehicles * (VEHICLE_BYTES + fleet.updates_per_year * UPDATE_BYTES)
    return (
        Row("polls", f"{fleet.vehicles:,} vehicles / {fleet.poll_seconds} s", polls, "per second"),
        Row("… take", f"{polls:,.1f} * {POLL_MICROSECONDS} µs", poll_cores, "cores"),
        Row(
            "of them asked anew",
            f"{fleet.vehicles:,} * {GROUP_PROCESSES} / {ANEW_SECONDS // 3600} h, at most all",
            anew,
            "per second",
        ),
        Row(
            "… take",
            f"{anew:,.1f} * ({REQUEST_MICROSECONDS} + {ANEW_QUERIES} * {QUERY_MICROSECONDS}) µs",
            anew_cores,
            "cores",
        ),
        Row("updates", f"{fleet.vehicles:,} / {fleet.campaign_days} days", updates, "per second"),
        Row(
            "… take",
            f"{updates:,.3f} * ({UPDATE_REQUESTS} * {REQUEST_MICROSECONDS}"
            f" + {UPDATE_QUERIES} * {QUERY_MICROSECONDS}) µs",
            update_cores,
            "cores",
        ),
        Row(
            "signing",
            f"{fleet.vehicles:,} / {SIGNING_SECONDS // 3600} h * {SIGNING_MICROSECONDS} µs",
            signing_cores,
            "cores",
        ),
        Row("web processes, one a core", f"{busy:,.2f} cores / {LOAD}, at least 2", processes, "processes"),
        Row(
            "their memory",
            f"{processes} * {PROCESS_BYTES // 1024**2} MiB"
            f" + {fleet.vehicles:,} * {GROUP_PROCESSES} * {CACHED_BYTES} bytes",
            memory / 1e9,
            "GB",
        ),
        Row(
            "OTA_FRONT_BYTES of all of them together",
            f"{fleet.vehicles:,} * {GROUP_PROCESSES} * {CACHED_BYTES} bytes",
            kept_answers / 1e9,
            "GB",
        ),
        Row(
            "TLS",
            f"{polls:,.1f} * {HANDSHAKE_MICROSECONDS} µs / {LOAD}",
            polls * HANDSHAKE_MICROSECONDS / 1e6 / LOAD,
            "cores",
        ),
        Row(
            "PostgreSQL",
            f"({polls:,.1f} * {CONTACT_MICROSECONDS} + ({anew:,.1f} * {ANEW_QUERIES}"
            f" + {updates:,.3f} * {UPDATE_QUERIES}) * {DATABASE_QUERY_MICROSECONDS}) µs / {LOAD}",
            max(1.0, database / LOAD),
            "cores",
        ),
        Row(
            "its disk, a year's reports",
            f"{fleet.vehicles:,} * ({VEHICLE_BYTES // 1024} + {fleet.updates_per_year} * {UPDATE_BYTES // 1024}) KiB",
            kept / 1e9,
            "GB",
        ),
        Row(
            "its memory, a quarter of the disk that is read",
            f"{fleet.vehicles:,} * {VEHICLE_BYTES // 1024} KiB / 4",
            fleet.vehicles * VEHICLE_BYTES / 4 / 1e9,
            "GB",
        ),
        Row(
            "line for downloads",
            f"{updates:,.3f} * {fleet.package_bytes / 1e6:,.0f} MB * 8",
            bytes_per_second * 8 / 1e9,
            "Gbit/s",
        ),
        Row(
            "nginx for them",
            f"{bytes_per_second / 1e9:,.3f} GB/s * {DOWNLOAD_CORE_SECONDS_PER_GB} s / {LOAD}",
            bytes_per_second / 1e9 * DOWNLOAD_CORE_SECONDS_PER_GB / LOAD,
            "cores",
        ),
    )


def lines(fleet: Fleet) -> list[str]:
    """Return the arithmetic as text, one step a line."""
    return [f"{row.what}: {row.arithmetic} = {row.value:,.2f} {row.unit}" for row in rows(fleet)]
