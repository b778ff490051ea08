from datetime import timedelta

import pytest
from django_otp.plugins.otp_static.models import StaticToken

from otaserver.audit.models import Entry
from otaserver.people import operations
from otaserver.people.errors import CodeWrongError, SignInThrottledError
from otaserver.people.models import SignIn
from otaserver.people.states import SignInStep
from tests.factories import NOON, make_tenant
from tests.people.people_factories import code_of, make_member

pytestmark = pytest.mark.django_db

HOME, AWAY = "192.0.2.1", "198.51.100.7"


def fail(times, *, account="mia", address=HOME, at=NOON, step=SignInStep.PASSWORD):
    for _ in range(times):
        operations.begin_sign_in(account, address=address, step=step, at=at)


def succeed(account="mia", address=HOME, at=NOON):
    operations.note_success(operations.begin_sign_in(account, address=address, step=SignInStep.PASSWORD, at=at))


def is_throttled(account="mia", address=HOME, at=NOON, step=SignInStep.PASSWORD):
    before = SignIn.objects.count()
    try:
        operations.begin_sign_in(account, address=address, step=step, at=at).delete()
    except SignInThrottledError:
        assert SignIn.objects.count() == before
        return True
    return False


def test_after_five_failures_from_an_address_one_waits_a_quarter_of_an_hour():
    fail(5)

    assert is_throttled()
    assert is_throttled(account="MIA")
    assert not is_throttled(account="bob")
    assert not is_throttled(address=AWAY)
    assert not is_throttled(step=SignInStep.SECOND_FACTOR)
    assert is_throttled(at=NOON + timedelta(minutes=14, seconds=59))
    assert not is_throttled(at=NOON + timedelta(minutes=15))


def test_failures_from_everywhere_stop_strangers_and_not_the_owner_where_they_came_in_before():
    succeed(at=NOON - timedelta(days=29))
    for number in range(20):
        fail(1, address=f"203.0.113.{number}")

    assert is_throttled(address=AWAY)
    assert not is_throttled(address=HOME)


def test_who_has_the_password_has_no_more_tries_at_the_code_from_many_addresses():
    for number in range(20):
        address = f"203.0.113.{number // 4}"
        succeed(address=address)
        fail(1, address=address, step=SignInStep.SECOND_FACTOR)
    succeed(address=AWAY)

    assert is_throttled(address=AWAY, step=SignInStep.SECOND_FACTOR)
    assert not is_throttled(address=AWAY, step=SignInStep.PASSWORD)
    assert not is_throttled(address=AWAY, step=SignInStep.SECOND_FACTOR, at=NOON + timedelta(minutes=15))


def test_an_address_is_forgotten_after_a_month():
    succeed(at=NOON - timedelta(days=30))
    for number in range(20):
        fail(1, address=f"203.0.113.{number}")

    assert is_throttled(address=HOME)


def test_an_address_that_tries_many_accounts_waits():
    for number in range(100):
        fail(1, account=f"user-{number}")

    assert is_throttled(account="mia")
    assert not is_throttled(account="mia", address=AWAY)


def test_success_forgets_what_failed_before_it():
    fail(4)
    succeed()
    fail(4)

    assert not is_throttled()


def test_what_is_asked_for_no_more_is_removed():
    fail(2, at=NOON - timedelta(minutes=15))
    fail(1)
    succeed(account="bob", at=NOON - timedelta(days=30))
    succeed(account="ann", at=NOON - timedelta(days=29))

    assert operations.forget_sign_ins(at=NOON) == 3
    assert operations.forget_sign_ins(at=NOON) == 0


def test_what_was_typed_as_a_name_is_not_kept():
    fail(1, account="hunter2")

    assert "hunter2" not in str(SignIn.objects.values().get())


@pytest.fixture
def mia():
    return make_member(make_tenant("acme")).user


def enrolled(user):
    operations.begin_enrolment(user)
    before = NOON - timedelta(minutes=5)
    return operations.confirm_enrolment(user, code_of(user, before), at=before)


def test_an_authenticator_counts_once_it_has_shown_a_code(mia):
    first = operations.begin_enrolment(mia)
    assert operations.begin_enrolment(mia) == first
    with pytest.raises(CodeWrongError):
        operations.confirm_enrolment(mia, "000000", at=NOON)
    assert not operations.has_second_factor(mia)

    codes = operations.confirm_enrolment(mia, code_of(mia), at=NOON)

    assert operations.has_second_factor(mia)
    assert (len(set(codes)), {len(code) for code in codes}) == (10, {19})
    assert Entry.objects.get().action == "second_factor.enrolled"


def test_nothing_is_confirmed_that_was_not_begun(mia):
    with pytest.raises(CodeWrongError):
        operations.confirm_enrolment(mia, "000000", at=NOON)


@pytest.mark.parametrize(("steps", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_taken_a_step_early_or_late(mia, steps, is_taken):
    enrolled(mia)

    if is_taken:
        operations.show_second_factor(mia, code_of(mia, steps=steps), at=NOON)
    else:
        with pytest.raises(CodeWrongError):
            operations.show_second_factor(mia, code_of(mia, steps=steps), at=NOON)


def test_a_code_is_taken_once_and_so_is_a_recovery_code(mia):
    codes = enrolled(mia)
    shown = code_of(mia)
    operations.show_second_factor(mia, f"{shown[:3]} {shown[3:]}", at=NOON)
    operations.show_second_factor(mia, codes[0].upper(), at=NOON)

    for again in (shown, codes[0], "", "12345", "é" * 6, "\u0660" * 6):
        with pytest.raises(CodeWrongError):
            operations.show_second_factor(mia, again, at=NOON)

    assert StaticToken.objects.count() == 9
    assert Entry.objects.last().action == "second_factor.recovery_code_used"


def test_recovery_codes_are_kept_as_hashes_and_are_nobody_elses(mia):
    codes = enrolled(mia)
    stored = list(StaticToken.objects.values_list("token", flat=True))
    bob = make_member(make_tenant("other"), "bob").user

    assert not {code.replace("-", "") for code in codes} & {token.lower() for token in stored}
    with pytest.raises(CodeWrongError):
        operations.show_second_factor(bob, codes[0], at=NOON)


def test_new_recovery_codes_replace_the_old(mia):
    old = enrolled(mia)
    new = operations.renew_recovery_codes(mia, at=NOON)

    with pytest.raises(CodeWrongError):
        operations.show_second_factor(mia, old[0], at=NOON)
    operations.show_second_factor(mia, new[0], at=NOON)


def test_a_second_factor_that_is_removed_takes_its_codes_along(mia):
    enrolled(mia)
    for _ in range(2):
        operations.remove_second_factor(mia, by="root", at=NOON)

    assert not operations.has_second_factor(mia)
    assert StaticToken.objects.count() == 0
    assert [entry.action for entry in Entry.objects.order_by("pk")] == [
        "second_factor.enrolled",
        "second_factor.removed",
    ]


@pytest.mark.django_db(transaction=True)
def test_of_two_requests_with_one_code_one_gets_in(at_once):
    mia = make_member(make_tenant("acme")).user
    codes = enrolled(mia)

    for code in (code_of(mia), codes[0]):
        ends = at_once(*[lambda code=code: operations.show_second_factor(mia, code, at=NOON)] * 2)
        assert sorted(type(end).__name__ for end in ends) == ["CodeWrongError", "NoneType"]
