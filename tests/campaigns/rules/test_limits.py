from otaserver.campaigns.rules.limits import Limits, first_breach

NONE = Limits(max_failed=None, max_verification_failed=0)


def test_without_a_limit_any_number_may_fail():
    assert first_breach(NONE, {"health_failed": 999}) is None


def test_exactly_the_limit_does_not_halt_and_one_more_does():
    limits = Limits(max_failed=3, max_verification_failed=0)

    assert first_breach(limits, {"health_failed": 2, "install_failed": 1}) is None
    breach = first_breach(limits, {"health_failed": 2, "install_failed": 2})

    assert (breach.limit, breach.found, breach.allowed) == ("max_failed", 4, 3)
    assert breach.sentence == "4 failed; at most 3 may."


def test_verification_failures_have_a_limit_of_their_own():
    breach = first_breach(NONE, {"verification_failed": 1})

    assert (breach.limit, breach.found, breach.allowed) == ("max_verification_failed", 1, 0)


def test_a_safety_code_halts_at_once_and_before_other_limits():
    limits = Limits(max_failed=0, max_verification_failed=0, halt_codes=["brake_lost", "engine_off"])

    breach = first_breach(limits, {"engine_off": 1, "verification_failed": 1})

    assert (breach.limit, breach.found) == ("halt_codes", 1)
    assert breach.sentence == "1 failed with engine_off, which halts the campaign at once."
