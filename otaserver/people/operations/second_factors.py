"""The second factor: time-based codes (RFC 6238) from an authenticator, and recovery codes for when it is gone.

Codes are checked by django-otp's algorithm, on the caller's clock and by compare-and-set, so that of two requests with
one code one gets in.
"""

import base64
import hashlib
import logging
import secrets
from datetime import datetime

from django.db import transaction
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

from otaserver import sealing
from otaserver.audit import operations as audit
from otaserver.people.errors import CodeWrongError
from otaserver.people.models import Authenticator
from otaserver.people.rules import AUTHENTICATOR_TOLERANCE, RECOVERY_CODES
from otaserver.tenants.models import Tenant, User

logger = logging.getLogger(__name__)
# RFC 4226, 4: as long as the HMAC's output.
_SECRET_BYTES = 20


def has_second_factor(user: User) -> bool:
    """Return whether the person has to show one whenever they sign in."""
    return Authenticator.objects.filter(user=user, is_confirmed=True).exists()


@transaction.atomic
def begin_enrolment(user: User) -> bytes:
    """Return the secret of the authenticator that a person is about to set up: the same until it is confirmed."""
    _locked(user)
    begun = Authenticator.objects.filter(user=user, is_confirmed=False).first()
    secret = None if begun is None else _secret_of(begun)
    if secret is None:
        secret = secrets.token_bytes(_SECRET_BYTES)
        Authenticator.objects.update_or_create(
            user=user, is_confirmed=False, defaults={"sealed_secret": sealing.seal(secret)}
        )
    return secret


@transaction.atomic
def confirm_enrolment(user: User, code: str, *, at: datetime) -> list[str]:
    """Take the authenticator into use, in place of one before, and return new recovery codes, shown this once.

    Raises:
        CodeWrongError: the code is not the one that it shows now.
    """
    _locked(user)
    begun = Authenticator.objects.filter(user=user, is_confirmed=False).first()
    if begun is None or not _take_code(begun, code, at=at):
        raise CodeWrongError("The code is not the one that the authenticator shows now.")
    Authenticator.objects.filter(user=user, is_confirmed=True).delete()
    Authenticator.objects.filter(pk=begun.pk).update(is_confirmed=True)
    codes = _new_codes(user)
    _record("second_factor.enrolled", user, at=at)
    return codes


@transaction.atomic
def show_second_factor(user: User, code: str, *, at: datetime) -> None:
    """Check a code of the authenticator, or a recovery code; either is taken once.

    Raises:
        CodeWrongError: it is neither, or was taken before.
    """
    own = Authenticator.objects.filter(user=user, is_confirmed=True).first()
    if own is not None and _take_code(own, code, at=at):
        return
    taken, _ = StaticToken.objects.filter(device__user=user, token=_hashed(code)).delete()
    if not taken:
        raise CodeWrongError("The code is wrong, or has been used.")
    _record("second_factor.recovery_code_used", user, at=at)


@transaction.atomic
def renew_recovery_codes(user: User, *, at: datetime) -> list[str]:
    """Replace all recovery codes, and return the new ones, shown this once."""
    _locked(user)
    codes = _new_codes(user)
    _record("second_factor.recovery_codes_renewed", user, at=at)
    return codes


@transaction.atomic
def remove_second_factor(user: User, *, by: str, at: datetime) -> None:
    """Take a person's authenticator and recovery codes away: they sign in with the password alone."""
    _locked(user)
    removed, _ = Authenticator.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    if removed:
        _record("second_factor.removed", user, at=at, by=by)


def seal_again() -> int:
    """Seal all secrets with the newest key, and return how many; one that no key opens stays as it is.

    It may be repeated. What is set up meanwhile is sealed with the newest key already.
    """
    done = 0
    for each in Authenticator.objects.order_by("pk").iterator():
        secret = _secret_of(each)
        if secret is not None:
            same = Authenticator.objects.filter(pk=each.pk, sealed_secret=each.sealed_secret)
            done += same.update(sealed_secret=sealing.seal(secret))
    return done


def _locked(user: User) -> None:
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _take_code(own: Authenticator, code: str, *, at: datetime) -> bool:
    digits, secret = code.replace(" ", ""), _secret_of(own)
    if secret is None or not (digits.isascii() and digits.isdigit()):
        return False
    algorithm = TOTP(secret, drift=own.drift_steps)
    algorithm.time = at.timestamp()
    if not algorithm.verify(int(digits), AUTHENTICATOR_TOLERANCE, own.last_step + 1):
        return False
    # RFC 6238, 5.2: a code is accepted once.
    rows = Authenticator.objects.filter(pk=own.pk, last_step=own.last_step)
    return bool(rows.update(last_step=algorithm.t(), drift_steps=algorithm.drift, last_used_at=at))


def _secret_of(own: Authenticator) -> bytes | None:
    """Return the secret, or None where the server's secret key is another one: recovery codes still let in."""
    try:
        return sealing.unseal(own.sealed_secret)
    except sealing.SecretUnreadableError:
        logger.error("second factor unreadable, is OTA_SECRET_KEY another one? user=%s", own.user_id)
        return None


def _new_codes(user: User) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=_hashed(code)) for code in codes)
    return ["-".join(code[start : start + 4] for start in range(0, 16, 4)) for code in codes]


def _hashed(code: str) -> str:
    """Return the form in which recovery codes are stored: what fits of their SHA-256; they have 80 random bits."""
    plain = code.replace("-", "").replace(" ", "").lower()
    return base64.b32encode(hashlib.sha256(plain.encode(errors="replace")).digest()[:10]).decode()


def _record(action: str, user: User, *, at: datetime, by: str = "") -> None:
    # It concerns each tenant that the person acts in.
    for tenant in Tenant.objects.filter(members__user=user).order_by("pk"):
        audit.record(action, str(user), tenant=tenant, by=by or user.get_username(), at=at)
