import re
from datetime import datetime

from django.db import IntegrityError, transaction

from firmware_store.errors import (
    VerificationKeyExistsError,
    VerificationKeyRefusedError,
    VerificationKeyRetiredError,
)
from firmware_store.models import VerificationKey
from firmware_store.states import KeyFormat
from firmware_store.trust import payload_signatures
from otaserver.audit import operations as audit
from otaserver.tenants.models import Tenant

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}\Z")
_HARDWARE_ID = re.compile(r"[!-~]{0,64}\Z")
# What each client can be given: certificates for CMS, or a bare public key.
_TAKES_CERTIFICATES = (KeyFormat.SWU, KeyFormat.RAUCB)
_TAKES_KEYS = (KeyFormat.SWU, KeyFormat.MENDER)


@transaction.atomic
def add_verification_key(
    tenant: Tenant, *, name: str, format: str, hardware_id: str = "", pem: str, by: str, at: datetime
) -> VerificationKey:
    """Say what vehicles check the signature in package files of this format against.

    From now on a package for that hardware (empty: for all without keys of their own) is published only with a
    signature that holds against one of its keys. Packages that are published already stay as they are.

    Raises:
        VerificationKeyRefusedError, PayloadKeyRefusedError: a value is out of its form, or no key of that client's.
        VerificationKeyExistsError: the tenant has one of this name, if only a retired one.
    """
    problem = _problem(name, format, hardware_id, payload_signatures.load_anchor(pem).key is None)
    if problem:
        raise VerificationKeyRefusedError(problem)
    try:
        with transaction.atomic():
            key = VerificationKey.objects.create(
                tenant=tenant,
                name=name,
                format=format,
                hardware_id=hardware_id,
                pem=pem,
                created_by=by,
                created_at=at,
            )
    except IntegrityError as error:
        raise VerificationKeyExistsError(f"Tenant {tenant} has a verification key {name!a} already.") from error
    audit.record(
        "verification_key.added", key, tenant=tenant, by=by, at=at, format=format, hardware_id=hardware_id, pem=pem
    )
    return key


@transaction.atomic
def retire_verification_key(key: VerificationKey, *, by: str, at: datetime) -> None:
    """Check no more packages against a key; with the last one of its kind signatures are only shown.

    Raises:
        VerificationKeyRetiredError: it is retired already.
    """
    if not VerificationKey.objects.filter(pk=key.pk, retired_at=None).update(retired_at=at):
        raise VerificationKeyRetiredError(f"The verification key {key} is retired already.")
    key.retired_at = at
    audit.record("verification_key.retired", key, tenant=key.tenant, by=by, at=at)


def _problem(name: str, format_: str, hardware_id: str, is_certificate: bool) -> str | None:
    if not _NAME.match(name):
        return f"A key's name is 1 to 80 of A-Z a-z 0-9 space . _ -, a letter or digit first; {name!a:.100} is not."
    if format_ not in KeyFormat.values:
        return f"The format is one of {', '.join(KeyFormat.values)}; {format_!a:.40} is not."
    if not _HARDWARE_ID.match(hardware_id):
        return "A hardware id is 1 to 64 printable ASCII characters without spaces, or empty for all hardware."
    if is_certificate and format_ not in _TAKES_CERTIFICATES:
        return f"Packages of the format {format_} are signed with a bare key; this is a certificate."
    if not is_certificate and format_ not in _TAKES_KEYS:
        return f"Packages of the format {format_} are signed with a certificate; this is a bare key."
    return None
