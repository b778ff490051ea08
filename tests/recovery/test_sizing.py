"""The arithmetic that sizes hardware, held against the page that shows it and against what a vehicle really asks."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from otaserver.recovery import sizing
from otaserver.recovery.sizing import Fleet
from otaserver.vehicle_api import idle
from tests.processes import ROOT

DISK = "its disk, a year's reports"
PAGE = (ROOT / "docs" / "sizing.md").read_text()
COSTS = (ROOT / "docs" / "vehicle-api.md").read_text()


def values(fleet):
    return [row.value for row in sizing.rows(fleet)]


def said(**options):
    out = StringIO()
    call_command("sizing", **options, stdout=out)
    return out.getvalue()


def test_a_million_vehicles_every_five_minutes():
    polls, poll_cores, anew, anew_cores, updates, update_cores, signing, processes, memory, front, tls, *_ = values(
        Fleet(1_000_000, 300)
    )

    assert (round(polls), round(poll_cores, 3)) == (3333, 0.2)
    assert (round(anew, 1), round(anew_cores, 2)) == (92.6, 0.69)
    assert (round(updates, 4), round(update_cores, 3)) == (0.8267, 0.084)
    assert (round(signing, 4), processes) == (0.0082, 2)
    assert (round(memory, 3), front, round(tls, 2)) == (1.055, 0.74, 6.67)


def test_no_more_is_asked_anew_than_is_asked():
    polls, _, anew, *_ = values(Fleet(1_000_000, 86_400))

    assert anew == polls


def test_what_is_needed_grows_with_the_fleet_and_shrinks_with_patience():
    small, large, patient = values(Fleet(10_000, 60)), values(Fleet(10_000_000, 60)), values(Fleet(10_000_000, 600))

    assert all(one <= other for one, other in zip(small, large, strict=True))
    assert all(one <= other for one, other in zip(patient, large, strict=True))
    assert round(large[0]) == round(10 * patient[0])


@pytest.mark.parametrize(("vehicles", "seconds"), [(10_000, 60), (1_000_000, 300), (10_000_000, 300)])
def test_the_page_shows_what_the_command_prints(vehicles, seconds):
    assert f"python manage.py sizing --vehicles {vehicles} --poll-seconds {seconds}" in PAGE
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {vehicles:,} | {seconds} |"))
    shown = [cell.strip() for cell in row.strip("|").split("|")]
    by_name = {each.what: each.value for each in sizing.rows(Fleet(vehicles, seconds))}
    assert shown[2:] == [
        f"{by_name['polls']:,.0f}",
        f"{by_name['web processes, one a core']:.0f}",
        f"{by_name['their memory']:,.1f}",
        f"{by_name['TLS']:,.1f}",
        f"{by_name['PostgreSQL']:,.1f}",
        f"{by_name[DISK]:,.0f}",
        f"{by_name['line for downloads']:,.2f}",
    ]


def test_answers_are_asked_anew_as_often_as_they_end_by_as_many_as_a_group_has():
    command = (ROOT / "deploy" / "systemd" / "ota-web@.service").read_text()

    assert idle.LONGEST.total_seconds() == sizing.ANEW_SECONDS
    assert f"--workers {sizing.GROUP_PROCESSES} " in command


def test_what_the_page_says_of_one_process_is_what_the_command_says_of_all():
    for fleet in (Fleet(1_000_000, 300), Fleet(10_000_000, 300)):
        by_name = {each.what: each.value for each in sizing.rows(fleet)}
        processes, kept = by_name["web processes, one a core"], by_name["OTA_FRONT_BYTES of all of them together"]
        assert f"{kept / processes * 1000:.0f} MB" in PAGE


def test_the_page_states_every_constant():
    for name in (
        "POLL_MICROSECONDS",
        "ANEW_QUERIES",
        "HANDSHAKE_MICROSECONDS",
        "CONTACT_MICROSECONDS",
        "REQUEST_MICROSECONDS",
        "QUERY_MICROSECONDS",
        "DATABASE_QUERY_MICROSECONDS",
        "SIGNING_MICROSECONDS",
        "UPDATE_REQUESTS",
        "UPDATE_QUERIES",
        "CACHED_BYTES",
        "VEHICLE_BYTES",
        "UPDATE_BYTES",
    ):
        value = getattr(sizing, name)
        shown = f"{value // 1024} KiB" if name in ("VEHICLE_BYTES", "UPDATE_BYTES") else f"{value:,}"
        assert re.search(rf"^\| `{name}` \| {re.escape(shown)}\b", PAGE, re.M), name


def test_the_command_prints_each_step_with_its_arithmetic():
    lines = said(vehicles=1_000_000, poll_seconds=300).splitlines()

    assert lines[:2] == [
        "polls: 1,000,000 vehicles / 300 s = 3,333.33 per second",
        "… take: 3,333.3 * 60 µs = 0.20 cores",
    ]
    assert len(lines) == len(sizing.rows(Fleet(1, 1)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"vehicles": 0}, "--vehicles is 0: from 1 to 10,000,000."),
        ({"vehicles": 10_000_001}, "--vehicles is 10,000,001: from 1 to 10,000,000."),
        ({"vehicles": 5, "poll_seconds": 0}, "--poll-seconds is 0: at least 1."),
        ({"vehicles": 5, "updates_per_year": -1}, "--updates-per-year is -1: at least 1."),
    ],
)
def test_no_fleet_and_one_beyond_what_is_known_are_refused(options, sentence):
    with pytest.raises(CommandError) as refused:
        said(**options)

    assert str(refused.value) == sentence


def test_an_update_by_whatever_protocol_asks_for_no_more_than_what_is_planned_for():
    """What each protocol asks for is counted by tests of its own, which hold that page to it."""
    rows = re.findall(r"^\| (?:reference client|DDI|aktualizr|Mender)[^|]*\| (\d+) \| \d+ \| (\d+) \|$", COSTS, re.M)
    requests, queries = zip(*[(int(requests), int(queries)) for requests, queries in rows], strict=True)

    assert len(rows) == 4
    assert sizing.UPDATE_REQUESTS / 1.25 < max(requests) <= sizing.UPDATE_REQUESTS
    assert sizing.UPDATE_QUERIES / 1.25 < max(queries) <= sizing.UPDATE_QUERIES
    assert f"by the reference client: {requests[0]} requests and {queries[0]} queries" in PAGE
