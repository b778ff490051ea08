"""Reports of several requests in one transaction: each counts as if alone, and none that was answered is lost."""

import os
import signal
import threading
import uuid

from django.db import IntegrityError, connection, connections
from django.test.utils import CaptureQueriesContext

from otaserver.campaigns import errors, operations
from otaserver.campaigns.models import Assignment, Attempt, Report
from otaserver.campaigns.operations import Told, VehicleReport
from tests.campaigns.campaign_factories import at, in_turn, make_running, states
from tests.factories import NOON


def told(attempt, phase, outcome="none", *, report_id=None, when=NOON, **more):
    said = VehicleReport(attempt.pk, report_id or str(uuid.uuid4()), phase, outcome, **more)
    return Told(attempt.vehicle, said, can_prove=True, at=when)


def attempts():
    return list(Attempt.objects.select_related("vehicle").order_by("assignment__rank"))


def statements(captured):
    return [one["sql"] for one in captured if "SAVEPOINT" not in one["sql"] and not one["sql"].startswith("BEGIN")]


def test_reports_of_many_vehicles_each_move_what_they_would_alone(db):
    campaign = make_running(vehicles=4)
    first, second, third, fourth = attempts()

    refusals = operations.record_together(
        [
            told(first, "downloading"),
            told(second, "installing", when=at(minutes=3)),
            told(first, "downloaded"),
            told(third, "finished", "failure", code="download_failed"),
            told(first, "installing"),
        ]
    )

    assert refusals == [None] * 5
    assert states(campaign) == ["installing", "installing", "waiting", "offered"]
    assert in_turn(campaign)[1].installing_at == at(minutes=3)
    assert Report.objects.filter(attempt=first).count() == 3
    assert not Report.objects.filter(attempt=fourth).exists()


def test_however_many_there_are_one_statement_reads_and_one_stores_them(db):
    make_running(vehicles=4)
    known = attempts()
    operations.record_together([told(attempt, "downloading") for attempt in known])
    more = [told(attempt, "downloading", progress=50, when=at(seconds=30)) for attempt in known]

    with CaptureQueriesContext(connection) as captured:
        operations.record_together(more)

    assert [statement.split()[0] for statement in statements(captured)] == ["SELECT", "INSERT"]
    assert Report.objects.count() == 8


def test_vehicles_heard_of_at_the_same_time_are_given_more_time_by_one_statement(db):
    campaign = make_running(vehicles=4)
    known = attempts()
    operations.record_together([told(attempt, "downloading") for attempt in known])
    later = [told(attempt, "downloading", when=at(days=1)) for attempt in known]

    with CaptureQueriesContext(connection) as captured:
        operations.record_together(later)

    assert [statement.split()[0] for statement in statements(captured)] == ["SELECT", "INSERT", "UPDATE"]
    assert {assignment.due_at for assignment in in_turn(campaign)} == {at(days=8)}


def test_what_is_refused_of_a_batch_costs_the_others_nothing(db):
    campaign = make_running(vehicles=2)
    first, second = attempts()
    strange = VehicleReport(first.pk, "1", "downloading")

    refusals = operations.record_together(
        [told(first, "downloading"), Told(second.vehicle, strange, can_prove=True, at=NOON), told(second, "held")]
    )

    assert [type(refusal) for refusal in refusals] == [type(None), errors.AttemptNotFoundError, type(None)]
    assert states(campaign) == ["downloading", "held"]
    assert Report.objects.count() == 2


def test_one_report_twice_in_a_batch_counts_once(db):
    campaign = make_running(vehicles=1, retry_seconds=3600)
    (attempt,) = attempts()
    said = [told(attempt, "finished", "failure", code="download_failed", report_id="same") for _ in range(2)]

    assert operations.record_together(said) == [None, None]
    assert operations.record_together(said) == [None, None]

    assert Report.objects.count() == 1
    assert in_turn(campaign)[0].next_attempt_at == at(hours=1)


def test_of_requests_at_once_each_gets_its_own_answer_and_one_that_breaks_breaks_alone(at_once):
    campaign = make_running(vehicles=8)
    known = attempts()
    # No percentage: the database itself refuses the row.
    broken = told(known[0], "downloading", progress=-1)

    def bring(reports):
        return lambda: operations.record_together(reports)

    results = at_once(
        lambda: operations.record_together([broken]),
        *[bring([told(attempt, phase) for phase in ("downloading", "downloaded")]) for attempt in known[1:]],
    )

    assert isinstance(results[0], IntegrityError)
    assert results[1:] == [[None, None]] * 7
    assert sorted(states(campaign)) == ["downloaded"] * 7 + ["offered"]
    assert Report.objects.count() == 14


def test_no_report_that_was_answered_is_lost_when_the_process_is_killed(transactional_db):
    make_running(vehicles=6)
    known = attempts()
    reader, writer = os.pipe()
    connections.close_all()  # two processes cannot share one
    process = os.fork()
    if process == 0:
        bring_for_ever(known, reader, writer)
    os.close(writer)
    answered = os.read(reader, 1 << 16)
    while answered.count(b"\n") < 60:
        answered += os.read(reader, 1 << 16)

    os.kill(process, signal.SIGKILL)

    while more := os.read(reader, 1 << 16):
        answered += more
    os.close(reader)
    os.waitpid(process, 0)
    ids = answered.decode().split("\n")[:-1]
    assert len(ids) >= 60
    assert set(ids) <= set(Report.objects.values_list("report_id", flat=True))
    # Nothing is left half done: what was stored has moved what it moves.
    moved = set(Assignment.objects.filter(attempts__reports__isnull=False).values_list("state", flat=True))
    assert moved == {"downloading"}


def bring_for_ever(known, reader, writer):
    """In a process of its own: bring reports in several threads, and write the id of each that was answered."""
    os.close(reader)

    def bring(attempt):
        while True:
            one = told(attempt, "downloading")
            if operations.record_together([one]) == [None]:
                os.write(writer, one.report.report_id.encode() + b"\n")

    for attempt in known:
        threading.Thread(target=bring, args=(attempt,), daemon=True).start()
    signal.pause()
    os._exit(1)


def test_of_reports_beyond_the_limit_those_in_one_batch_are_refused_too(db, monkeypatch):
    monkeypatch.setattr("otaserver.campaigns.operations.reports.MAX_REPORTS", 2)
    make_running(vehicles=1)
    (attempt,) = attempts()

    refusals = operations.record_together([told(attempt, "downloading") for _ in range(3)])

    assert [type(refusal) for refusal in refusals] == [type(None)] * 2 + [errors.TooManyReportsError]
    assert Report.objects.count() == 2
