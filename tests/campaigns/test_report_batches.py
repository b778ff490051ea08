"""Reports of several requests in one transaction: each counts as if alone, and none that was answered is lost."""

import os
import signal
import threading
import uuid
from datetime import datetime, timedelta, timezone

from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    later = [told(attempt, "downloading", when=at(days=1, hours=hours)) for hours, attempt in enumerate(known)]

    with CaptureQueriesContext(connection) as captured:
        operations.record_together(later)

    assert [statement.split()[0] for statement in statements(captured)] == ["SELECT", "INSERT", "UPDATE"]
    assert [assignment.due_at for assignment in in_turn(campaign)] == [at(days=8, hours=hours) for hours in range(4)]


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


def test_a_report_that_is_told_again_moves_nothing_back(db):
    campaign = make_running(vehicles=1)
    (attempt,) = attempts()
    first, second = told(attempt, "downloading", report_id="1"), told(attempt, "downloaded", report_id="2")

    operations.record_together([first, second, first])
    within_one_batch = states(campaign)
    operations.record_together([first])

    assert (within_one_batch, states(campaign)) == (["downloaded"], ["downloaded"])
    assert Report.objects.count() == 2


def test_what_is_told_again_takes_no_place_from_what_is_new(db, monkeypatch):
    monkeypatch.setattr("otaserver.campaigns.operations.reports.MAX_REPORTS", 2)
    make_running(vehicles=1)
    (attempt,) = attempts()
    first, second = (told(attempt, "downloading", report_id=report_id) for report_id in "12")
    operations.record_together([first])

    assert operations.record_together([first, first, second, second, first]) == [None] * 5
    assert Report.objects.count() == 2


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


def test_of_reports_at_once_no_more_are_stored_than_the_limit_lets(at_once, monkeypatch):
    monkeypatch.setattr("otaserver.campaigns.operations.reports.MAX_REPORTS", 3)
    make_running(vehicles=1)
    (attempt,) = attempts()

    # Each in a transaction of its own, as those of several processes.
    results = at_once(*[lambda: operations.record_reports([told(attempt, "downloading")])] * 6)

    assert sorted(type(refusal) is errors.TooManyReportsError for (refusal,) in results) == [False] * 3 + [True] * 3
    assert Report.objects.count() == 3


def test_what_a_vehicle_said_is_stored_as_it_said_it(db):
    make_running(vehicles=1)
    (attempt,) = attempts()
    # Of whom the offset has seconds, as local mean times have.
    said_at = datetime(2026, 6, 1, 14, 0, 0, 250, tzinfo=timezone(timedelta(hours=1, seconds=21)))
    measured = {"speed": 0.5, "odometer": 10**14, "parked": True, "link_type": "wifi", 'a"b': "ü\\\n"}
    words = {"code": "bätt\0ery", "message": 'Größe "5"\t\\ 🚗', "ecu_serial": "E'1;--", "progress": 0}
    one = told(attempt, "held", report_id="%s", measured=measured, device_time=said_at, when=at(seconds=1), **words)

    assert operations.record_together([one]) == [None]

    report = Report.objects.get()
    assert (report.device_time, report.received_at, report.measured) == (said_at, at(seconds=1), measured)
    assert (report.report_id, report.ecu_serial, report.progress) == ("%s", "E'1;--", 0)
    assert (report.code, report.message) == ("bättery", 'Größe "5"\t\\ 🚗')


# Whose report, how the attempt is named, its id, what it says, and after how many minutes.
SAID = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["id", "number", "other's id", "no number"]),
    st.sampled_from(["a", "b", "c", "d", "e"]),
    st.sampled_from(
        [
            *[
                ("downloading", "none", ""),
                ("downloaded", "none", ""),
                ("held", "none", "window"),
                ("held", "none", "x"),
            ],
            *[("installing", "none", ""), ("installed", "none", ""), ("finished", "failure", "download_failed")],
            *[("finished", "failure", "health_failed"), ("finished", "success", ""), ("finished", "refused", "owner")],
        ]
    ),
    st.integers(0, 3),
)


def test_reports_stored_together_leave_what_each_alone_would_leave(db, monkeypatch):
    monkeypatch.setattr("otaserver.campaigns.operations.reports.MAX_REPORTS", 3)
    monkeypatch.setattr("otaserver.campaigns.operations.reports.MAX_ENDS", 2)
    make_running(vehicles=2)
    known = attempts()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(before=st.lists(SAID, max_size=3), batch=st.lists(SAID, min_size=2, max_size=8), can_prove=st.booleans())
    def check(before, batch, can_prove):
        earlier, batch = ([made(known, each, can_prove) for each in some] for some in (before, batch))

        together = left_by(earlier, lambda: operations.record_together(batch))
        alone = left_by(earlier, lambda: [operations.record_together([one])[0] for one in batch])

        assert together == alone

    check()


def made(known, said, can_prove):
    whose, name, report_id, (phase, outcome, code), minutes = said
    attempt = known[whose]
    names = {"id": attempt.pk, "number": attempt.number, "other's id": known[1 - whose].pk, "no number": 99}
    report = VehicleReport(names[name], report_id, phase, outcome, code=code, message=f"after {minutes}")
    return Told(attempt.vehicle, report, can_prove=can_prove, at=at(minutes=minutes))


def left_by(earlier, record):
    """The answers, and the rows that are left, of which nothing stays."""
    with transaction.atomic():
        operations.record_together(earlier)
        answers = [(type(refusal), str(refusal)) for refusal in record()]
        reports = Report.objects.order_by("attempt", "report_id").values_list(
            "attempt", "report_id", "message", "phase"
        )
        assignments = Assignment.objects.order_by("pk").values(
            *("state", "due_at", "next_attempt_at", "installing_at", "settled_at", "code", "message")
        )
        ends = Attempt.objects.order_by("pk").values_list("closed_at", "outcome", "code", "vehicle__is_manifest_wanted")
        rows = [list(each) for each in (reports, assignments, ends)]
        transaction.set_rollback(True)
    return answers, rows
