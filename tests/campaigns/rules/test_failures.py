"""The catalogue against the code: whatever may be reported is described, and described once."""

import re

import pytest

from clients.vehicle.errors import Reason
from otaserver.campaigns.rules import failures
from otaserver.campaigns.states import Counts, FailureCategory, FailureOrigin, Verdict
from tests.processes import ROOT

HEADER = "| code | category | from | counts as | tried again | meaning | what to do |"
# A vehicle's code as it is written in source: an argument named `code`, or the first one of these calls.
CALLS = re.compile(
    r'(?:\bcode=|GateVerdict\(|self\._hold\(|NotNowError\(|_end\([^"]*"(?:failure|refused)", )"([\w.]+)"'
)
# How a gate's verdict says that the order is held; the code goes with it.
STATUS = {"held"}
VEHICLE_FACING = [
    *sorted((ROOT / "otaserver" / "director").glob("errors.py")),
    ROOT / "otaserver" / "vehicle_api" / "errors.py",
]
# Not about an update: what a program got wrong in one request, or an operator's own doing.
OTHER = re.compile(r"(request|target|tenant|order|metadata|download|http)\.\w+")


def row(failure):
    counts = f"{failure.counts}{', needs hands' if failure.needs_hands else ''}"
    again = "yes" if failure.is_retried else "no"
    return (
        f"| `{failure.code}` | {failure.category} | {failure.origin} | {counts} | {again} "
        f"| {failure.meaning} | {failure.advice} |"
    )


def test_the_page_shows_the_catalogue():
    lines = (ROOT / "docs" / "failure-codes.md").read_text().splitlines()

    assert [line for line in lines if line.startswith("| `")] == [row(each) for each in failures.CATALOGUE.values()]
    assert HEADER in lines


def test_each_code_is_described_once():
    assert len(failures.CATALOGUE) == len(failures._FAILURES)


def test_every_reason_of_the_clients_verification_is_described():
    assert {reason.value for reason in Reason} - set(failures.CATALOGUE) == set()


def test_every_verdict_that_may_end_an_assignment_is_described():
    assert set(Verdict.values) - {Verdict.FITS} - set(failures.CATALOGUE) == set()


def test_every_code_that_the_client_reports_or_meets_is_described():
    found = set()
    for path in (ROOT / "clients" / "vehicle").glob("*.py"):
        found |= set(CALLS.findall(path.read_text()))

    assert {"disk_full", "install_failed", "precondition_failed", "not_before", "withdrawn", "network"} <= found
    assert {code for code in found - STATUS if not OTHER.fullmatch(code)} - set(failures.CATALOGUE) == set()


def test_every_code_that_the_engine_writes_is_described():
    found = set()
    for path in (ROOT / "otaserver" / "campaigns" / "operations").glob("*.py"):
        text = path.read_text()
        found |= set(re.findall(r'\bcode="(\w+)"', text))
        found |= set(re.findall(r'ReportOutcome\.\w+,\s+"(\w+)",', text))

    assert {"silent", "unproved", "enrolled_again", "rolled_back"} <= found
    assert found - set(failures.CATALOGUE) == set()


def test_every_refusal_of_a_vehicles_manifest_or_credential_is_described():
    found = {code for path in VEHICLE_FACING for code in re.findall(r'code = "([\w.]+)"', path.read_text())}

    assert "manifest.replayed" in found
    assert {code for code in found if not OTHER.fullmatch(code)} - set(failures.CATALOGUE) == set()


def test_a_code_that_nobody_described_is_taken_as_the_worst():
    unknown = failures.of("flux_capacitor")

    assert (unknown.counts, unknown.is_retried, unknown.needs_hands) == (Counts.FAILURE, False, False)
    assert "flux_capacitor" in unknown.meaning


def test_what_retries_and_what_refuses_follows_from_the_catalogue():
    assert {"download_failed", "interrupted", "internal", "disk_full", "network"} <= failures.PASSING_CODES
    assert {"precondition_failed", "consent_refused", "withdrawn"} == failures.REFUSAL_CODES
    assert {"silent", "revert_failed", "attempts_exhausted", "rollback_failed"} == failures.HANDS_CODES


@pytest.mark.parametrize("failure", failures.CATALOGUE.values(), ids=lambda one: one.code)
def test_every_entry_says_what_it_means_and_what_to_do(failure):
    assert failure.meaning.endswith((".", "!")) or failure.meaning.endswith(").")
    assert failure.advice.endswith(".")
    assert failure.category in FailureCategory.values
    assert failure.origin in FailureOrigin.values
    # What is tried again counts neither way, and no vehicle needs hands for it.
    assert not failure.is_retried or (failure.counts == Counts.NEUTRAL and not failure.needs_hands)
