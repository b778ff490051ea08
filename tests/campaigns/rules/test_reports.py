from itertools import product

import pytest

from otaserver.campaigns.rules import reports
from otaserver.campaigns.rules.reports import Claim, Move, after_claim, after_evidence
from otaserver.campaigns.states import (
    ASSIGNMENT_TRANSITIONS,
    AssignmentState,
    ReportOutcome,
    ReportPhase,
)

S = AssignmentState
CODES = ["", "download_failed", "verification_failed", "precondition_failed", "consent_refused", "install_failed"]
CODES += ["health_failed", "reverted", "interrupted", "withdrawn", "internal", "something_new"]
BEFORE_INSTALL = [S.OFFERED, S.DOWNLOADING, S.DOWNLOADED, S.HELD]
GIVEN_UP = [S.WAITING, S.LAPSED, S.WITHDRAWN]
OVER = [S.SUCCEEDED, S.SUPERSEDED, S.EXCLUDED]


def claim(phase="finished", outcome="failure", code=""):
    return Claim(phase, outcome, code)


@pytest.mark.parametrize("state", S)
def test_no_claim_and_no_proof_asks_for_a_transition_that_there_is_not(state):
    for phase, outcome, code, can_prove in product(ReportPhase, ReportOutcome, CODES, [True, False]):
        moved = after_claim(state, Claim(phase, outcome, code), can_prove=can_prove).state
        assert moved is None or moved in ASSIGNMENT_TRANSITIONS[state], (phase, outcome, code, moved)
    for runs_release, is_latest, code in product([True, False], [True, False], CODES):
        moved = after_evidence(state, runs_release=runs_release, is_latest=is_latest, code=code).state
        assert moved is None or moved in ASSIGNMENT_TRANSITIONS[state]


@pytest.mark.parametrize("state", OVER)
def test_what_is_over_stays_over(state):
    for phase, outcome, code in product(ReportPhase, ReportOutcome, CODES):
        assert after_claim(state, Claim(phase, outcome, code), can_prove=True) == Move()
    assert after_evidence(state, runs_release=True, is_latest=True, code="") == Move()
    assert after_evidence(state, runs_release=False, is_latest=True, code="") == Move()


def test_an_installation_is_moved_only_by_its_end():
    for phase, outcome, code in product(ReportPhase, ReportOutcome, CODES):
        moved = after_claim(S.INSTALLING, Claim(phase, outcome, code), can_prove=True).state
        assert moved == (S.FAILED if phase == "finished" and outcome in ("failure", "refused") else None)


@pytest.mark.parametrize("state", BEFORE_INSTALL)
@pytest.mark.parametrize("phase", ["downloading", "downloaded", "held"])
def test_progress_moves_an_open_order_to_where_the_vehicle_says_it_is(state, phase):
    assert after_claim(state, claim(phase, "none"), can_prove=True).state == (None if state == phase else phase)


@pytest.mark.parametrize("state", [*GIVEN_UP, S.WITHDRAWING])
def test_progress_brings_nothing_back_but_an_installation_does(state):
    assert after_claim(state, claim("held", "none"), can_prove=True) == Move()
    assert after_claim(state, claim("installing", "none"), can_prove=True).state == S.INSTALLING
    assert after_claim(state, claim("installed", "none"), can_prove=True).state == S.INSTALLING


@pytest.mark.parametrize(
    ("state", "outcome", "code", "expected"),
    [
        (S.DOWNLOADING, "failure", "download_failed", S.WAITING),
        (S.OFFERED, "failure", "internal", S.WAITING),
        (S.HELD, "failure", "interrupted", S.WAITING),
        (S.INSTALLING, "failure", "download_failed", S.FAILED),
        (S.INSTALLING, "failure", "interrupted", S.FAILED),
        (S.DOWNLOADING, "failure", "verification_failed", S.FAILED),
        (S.DOWNLOADED, "failure", "something_new", S.FAILED),
        (S.HELD, "failure", "precondition_failed", S.REFUSED),
        (S.HELD, "refused", "", S.REFUSED),
        (S.DOWNLOADING, "failure", "withdrawn", S.REFUSED),
        (S.WITHDRAWING, "failure", "withdrawn", S.WITHDRAWN),
        (S.WITHDRAWING, "failure", "download_failed", S.WITHDRAWN),
        (S.WITHDRAWING, "refused", "consent_refused", S.REFUSED),
        (S.WITHDRAWING, "failure", "install_failed", S.FAILED),
        (S.WITHDRAWN, "failure", "health_failed", S.FAILED),
        (S.LAPSED, "failure", "download_failed", None),
        (S.LAPSED, "refused", "consent_refused", None),
        (S.REFUSED, "failure", "health_failed", None),
        (S.FAILED, "failure", "health_failed", None),
        (S.OFFERED, "none", "", None),
    ],
)
def test_how_a_claim_of_failure_ends_an_order(state, outcome, code, expected):
    decided = after_claim(state, claim("finished", outcome, code), can_prove=True)

    assert decided.state == expected
    assert decided.may_retry == (expected == S.WAITING)


def test_a_claim_of_success_is_believed_when_it_is_proved():
    success = claim("finished", "success")

    assert after_claim(S.DOWNLOADED, success, can_prove=True) == Move(S.INSTALLING, wants_manifest=True)
    assert after_claim(S.INSTALLING, success, can_prove=True) == Move(wants_manifest=True)
    assert after_claim(S.SOAKING, success, can_prove=True) == Move()


@pytest.mark.parametrize("state", [*BEFORE_INSTALL, *GIVEN_UP, S.WITHDRAWING, S.INSTALLING])
def test_where_a_vehicle_cannot_prove_anything_its_word_must_do(state):
    assert after_claim(state, claim("finished", "success"), can_prove=False).state == S.SOAKING


@pytest.mark.parametrize("state", [S.SOAKING, S.FAILED, S.REFUSED])
def test_the_word_of_success_does_not_undo_what_was_settled(state):
    assert after_claim(state, claim("finished", "success"), can_prove=False) == Move()


def test_during_the_soak_bad_health_counts_and_other_claims_call_for_proof():
    assert after_claim(S.SOAKING, claim(code="health_failed"), can_prove=True).state == S.FAILED
    assert after_claim(S.SOAKING, claim(code="install_failed"), can_prove=True) == Move(wants_manifest=True)
    assert after_claim(S.SOAKING, claim(code="install_failed"), can_prove=False).state == S.FAILED


@pytest.mark.parametrize("state", [*BEFORE_INSTALL, *GIVEN_UP, S.WITHDRAWING, S.INSTALLING, S.REFUSED, S.FAILED])
def test_proof_of_the_new_software_outranks_everything_said(state):
    decided = after_evidence(state, runs_release=True, is_latest=True, code="install_failed")

    assert decided == Move(S.SOAKING, ReportOutcome.SUCCESS)


@pytest.mark.parametrize("state", S)
def test_proof_after_another_order_moves_nothing_forward(state):
    assert after_evidence(state, runs_release=True, is_latest=False, code="") == Move()


def test_a_manifest_cannot_heal_a_vehicle_that_failed_its_health_check():
    assert after_evidence(S.FAILED, runs_release=True, is_latest=True, code=reports.HEALTH_FAILED) == Move()


def test_software_that_is_gone_during_the_soak_was_reverted_or_overtaken():
    assert after_evidence(S.SOAKING, runs_release=False, is_latest=True, code="").state == S.FAILED
    assert after_evidence(S.SOAKING, runs_release=False, is_latest=False, code="").state == S.SUPERSEDED


@pytest.mark.parametrize("state", set(S) - {S.SOAKING})
def test_the_old_software_alone_proves_nothing_before_the_new_one_ran(state):
    assert after_evidence(state, runs_release=False, is_latest=True, code="") == Move()
