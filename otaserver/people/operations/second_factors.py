"""The second factor: time-based codes (RFC 6238) from an authenticator, and recovery codes for when it is gone.

django-otp keeps both; its checks are made here by its algorithm, on the caller's clock and by compare-and-set, so that
of two requests with one code one gets in.
"""

import base64
import hashlib
import secrets
from datetime import datetime

from django.db import transaction
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from otaserver.audit import operations as audit
from otaserver.people.errors import CodeWrongError
from otaserver.people.rules import RECOVERY_CODES
from otaserver.tenants.models import Tenant, User

_NAME = "authenticator"


def has_second_factor(user: User) -> bool:
    """Return whether the person has to show one whenever they sign in."""
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


@transaction.atomic
def begin_enrolment(user: User) -> TOTPDevice:
    """Return the authenticator that a person is about to set up: the same until it is confirmed."""
    _locked(user)
    device, _ = TOTPDevice.objects.get_or_create(user=user, confirmed=False, defaults={"name": _NAME})
    return device


@transaction.atomic
def confirm_enrolment(user: User, code: str, *, at: datetime) -> list[str]:
    """Take the authenticator into use, in place of one before, and return new recovery codes, shown this once.

    Raises:
        CodeWrongError: the code is not the one that it shows now.
    """
    _locked(user)
    device = TOTPDevice.objects.filter(user=user, confirmed=False).first()
    if device is None or not _take_totp(device, code, at=at):
        raise CodeWrongError("The code is not the one that the authenticator shows now.")
    TOTPDevice.objects.filter(user=user, confirmed=True).delete()
    TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
    codes = _new_codes(user)
    _record("second_factor.enrolled", user, at=at)
    return codes


@transaction.atomic
def show_second_factor(user: User, code: str, *, at: datetime) -> None:
    """Check a code of the authenticator, or a recovery code; either is taken once.

    Raises:
        CodeWrongError: it is neither, or was taken before.
    """
    device = TOTPDevice.objects.filter(user=user, confirmed=True).first()
    if device is not None and _take_totp(device, code, at=at):
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
    removed, _ = TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    if removed:
        _record("second_factor.removed", user, at=at, by=by)


def _locked(user: User) -> None:
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _take_totp(device: TOTPDevice, code: str, *, at: datetime) -> bool:
    digits = code.replace(" ", "")
    if not (digits.isascii() and digits.isdigit()):
        return False
    algorithm = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    algorithm.time = at.timestamp()
    if not algorithm.verify(int(digits), device.tolerance, device.last_t + 1):
        return False
    # RFC 6238, 5.2: a code is accepted once.
    rows = TOTPDevice.objects.filter(pk=device.pk, last_t=device.last_t)
    return bool(rows.update(last_t=algorithm.t(), drift=algorithm.drift, last_used_at=at))


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
