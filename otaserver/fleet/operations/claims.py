import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import models, transaction

from otaserver.fleet import rules
from otaserver.fleet.errors import ClaimInvalidError, ClaimRateLimitedError, ClaimUsedError
from otaserver.fleet.models import ClaimCode, ClaimFailure
from otaserver.tenants.models import Tenant

VALID_FOR = timedelta(days=30)
# Crockford's base 32: no I, L, O, U. Four groups of five are 100 bits.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BATCH = 2000


def create_claim_code(tenant: Tenant, vehicle_id: str, *, at: datetime, valid_for: timedelta = VALID_FOR) -> str:
    """Create the right to enrol one vehicle once, and return its code; only a hash of it is kept.

    Raises:
        VehicleIdRefusedError: no vehicle can have that id.
    """
    return create_claim_codes(tenant, [vehicle_id], at=at, valid_for=valid_for)[vehicle_id]


@transaction.atomic
def create_claim_codes(
    tenant: Tenant, vehicle_ids: Sequence[str], *, at: datetime, valid_for: timedelta = VALID_FOR
) -> dict[str, str]:
    """Create one claim code for each of these vehicles, and return them by vehicle id: all or none.

    Raises:
        VehicleIdRefusedError: no vehicle can have one of these ids.
    """
    for vehicle_id in vehicle_ids:
        rules.check_vehicle_id(vehicle_id)
    codes = {vehicle_id: _random_code() for vehicle_id in vehicle_ids}
    ClaimCode.objects.bulk_create(
        (
            ClaimCode(
                tenant=tenant,
                vehicle_id=vehicle_id,
                sha256=rules.claim_code_sha256(code),
                created_at=at,
                expires_at=at + valid_for,
            )
            for vehicle_id, code in codes.items()
        ),
        batch_size=_BATCH,
    )
    return codes


def find_claim(tenant: Tenant, vehicle_id: str, code: str, *, address: str, at: datetime) -> ClaimCode:
    """Return the claim code that this is; a wrong one is counted against its sender, whatever becomes of the caller.

    Do not call it inside a transaction that an error rolls back: the count would be lost.

    Raises:
        ClaimRateLimitedError: too many wrong codes, from this address or for this tenant.
        ClaimInvalidError: unknown, expired, or for another vehicle; the message does not tell which.
    """
    sender = rules.guesser(address)
    _refuse_guesser(tenant, sender, at=at)
    # Looked up by hash: the index sees nothing that tells how near a guess was.
    claim = ClaimCode.objects.filter(tenant=tenant, sha256=rules.claim_code_sha256(code)).first()
    if claim is None or claim.vehicle_id != vehicle_id or claim.expires_at <= at:
        _count_failure(tenant, sender, at=at)
        raise ClaimInvalidError("The claim code is unknown or expired, or is for another vehicle.")
    return claim


def use_claim(claim: ClaimCode, *, unanswered: datetime | None, at: datetime) -> None:
    """Use up a claim code in the caller's transaction: of two callers at once, exactly one can.

    A code that was used `unanswered` (when its answer was lost: `identity.unanswered_since`) serves once more.

    Raises:
        ClaimUsedError: it was used before.
    """
    used = models.Q(used_at=None)
    if unanswered is not None:
        used |= models.Q(used_at=unanswered)
    if not ClaimCode.objects.filter(used, pk=claim.pk).update(used_at=at):
        raise ClaimUsedError(f"The claim code for {claim.vehicle_id} has been used.", vehicle_id=claim.vehicle_id)


def expire_claims(*, at: datetime) -> int:
    """Delete claim codes that have expired and wrong tries that no longer count; return how many rows that were."""
    codes, _ = ClaimCode.objects.filter(expires_at__lte=at).delete()
    failures, _ = ClaimFailure.objects.filter(at__lte=at - rules.GUESS_WINDOW).delete()
    return codes + failures


def _refuse_guesser(tenant: Tenant, sender: str, *, at: datetime) -> None:
    own = ClaimFailure.objects.filter(tenant=tenant, address=sender, at__gt=at - rules.GUESS_WINDOW)
    _refuse_beyond(rules.GUESSES_PER_ADDRESS, list(_newest(own, rules.GUESSES_PER_ADDRESS)), at=at)


def _count_failure(tenant: Tenant, sender: str, *, at: datetime) -> None:
    # Beyond the tenant's limit nothing more is recorded, so that a flood of guesses cannot fill the table. A right code
    # still passes: whoever floods could else keep a whole tenant from enrolling, and 100 bits are not guessed.
    every = ClaimFailure.objects.filter(tenant=tenant, at__gt=at - rules.GUESS_WINDOW)
    _refuse_beyond(rules.GUESSES_PER_TENANT, list(_newest(every, rules.GUESSES_PER_TENANT)), at=at)
    ClaimFailure.objects.create(tenant=tenant, address=sender, at=at)


def _newest(failures: models.QuerySet[ClaimFailure], limit: int) -> models.QuerySet[ClaimFailure, datetime]:
    return failures.order_by("-at").values_list("at", flat=True)[:limit]


def _refuse_beyond(limit: int, failures: Sequence[datetime], *, at: datetime) -> None:
    wait = rules.seconds_until_next_guess(failures, limit=limit, at=at)
    if wait:
        raise ClaimRateLimitedError(
            f"{limit} wrong claim codes in {rules.GUESS_WINDOW.seconds // 60} minutes; try again in {wait} seconds.",
            retry_after_seconds=wait,
        )


def _random_code() -> str:
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
