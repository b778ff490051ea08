"""Counting tries to sign in. Nobody is locked out: every limit is a number within the last quarter of an hour."""

from datetime import datetime

from django.db.models import Count, Q
from django.utils.crypto import salted_hmac

from otaserver.people import rules
from otaserver.people.errors import SignInThrottledError
from otaserver.people.models import SignIn
from otaserver.people.rules import Failures
from otaserver.people.states import SignInStep


def begin_sign_in(account: str, *, address: str, step: str, at: datetime) -> SignIn:
    """Write down a try before its password or code is looked at, so that tries at once count each other.

    Call it outside a transaction. A try that has to wait is not counted: waiting gets nobody further away.

    Raises:
        SignInThrottledError: too many have failed.
    """
    own = SignIn.objects.create(account_sha256=_hashed(account), address=address, step=step, at=at)
    if rules.is_throttled(_failures(own), is_known_address=_is_known(own)):
        own.delete()
        raise SignInThrottledError(
            "Too many tries have failed; wait a quarter of an hour.",
            retry_after_seconds=int(rules.WINDOW.total_seconds()),
        )
    return own


def note_success(own: SignIn) -> None:
    """Say that a try succeeded; what failed before it from the same address for the same account counts no more."""
    SignIn.objects.filter(pk=own.pk).update(has_succeeded=True)
    SignIn.objects.filter(
        account_sha256=own.account_sha256, address=own.address, step=own.step, has_succeeded=False
    ).delete()


def forget_sign_ins(*, at: datetime) -> int:
    """Remove tries that nothing asks for any more, and return how many."""
    old = Q(at__lte=at - rules.KNOWN) | Q(at__lte=at - rules.WINDOW, has_succeeded=False)
    return SignIn.objects.filter(old).delete()[0]


def _is_known(own: SignIn) -> bool:
    # To the second step comes only who has the password: that makes no address known there, or a stolen one would
    # buy tries at the code from as many addresses as somebody has.
    if own.step == SignInStep.SECOND_FACTOR:
        return False
    same = SignIn.objects.filter(account_sha256=own.account_sha256, address=own.address, has_succeeded=True)
    return same.filter(at__gt=own.at - rules.KNOWN).exists()


def _failures(own: SignIn) -> Failures:
    failed = SignIn.objects.filter(step=own.step, has_succeeded=False, at__gt=own.at - rules.WINDOW)
    of_account, of_address = Q(account_sha256=own.account_sha256), Q(address=own.address)
    counted = failed.filter(of_account | of_address).aggregate(
        of_pair=Count("pk", filter=of_account & of_address),
        of_account=Count("pk", filter=of_account),
        of_address=Count("pk", filter=of_address),
    )
    return Failures(**counted)


def _hashed(account: str) -> str:
    # With the server's key: what was typed by mistake may be a password.
    return salted_hmac("otaserver.people.SignIn", account.lower(), algorithm="sha256").hexdigest()
