from datetime import timedelta

import pytest

from otaserver.fleet import operations, rules
from otaserver.fleet.errors import ClaimInvalidError, ClaimRateLimitedError, ClaimUsedError, VehicleIdRefusedError
from otaserver.fleet.models import ClaimCode, ClaimFailure, Credential, Vehicle
from tests.factories import NOON, make_tenant
from tests.fleet.enrolments import ADDRESS, make_request

pytestmark = pytest.mark.django_db


def guess(tenant, *, address=ADDRESS, at=NOON, code="WRONG"):
    operations.enrol(tenant, make_request(code), address=address, at=at)


def fail(tenant, times, *, address=ADDRESS, at=NOON):
    for _ in range(times):
        with pytest.raises(ClaimInvalidError):
            guess(tenant, address=address, at=at)


def test_a_claim_code_is_stored_as_a_hash_and_has_a_hundred_random_bits():
    code = operations.create_claim_code(make_tenant(), "VIN1", at=NOON)

    row = ClaimCode.objects.get()
    assert (row.vehicle_id, row.expires_at, row.used_at) == ("VIN1", NOON + timedelta(days=30), None)
    assert row.sha256 == rules.claim_code_sha256(code)
    assert len(code.replace("-", "")) == 20


def test_ten_thousand_codes_take_less_than_a_hundred_statements(django_assert_max_num_queries):
    tenant, ids = make_tenant(), [f"VIN{number}" for number in range(10_000)]

    with django_assert_max_num_queries(100):
        codes = operations.create_claim_codes(tenant, ids, at=NOON)

    assert list(codes) == ids
    assert len(set(codes.values())) == ClaimCode.objects.count() == 10_000


def test_one_impossible_vehicle_id_means_no_code_at_all():
    with pytest.raises(VehicleIdRefusedError):
        operations.create_claim_codes(make_tenant(), ["VIN1", "VIN 2"], at=NOON)

    assert not ClaimCode.objects.exists()


def test_an_unknown_expired_or_foreign_code_is_invalid_without_saying_which():
    tenant = make_tenant()
    expired = operations.create_claim_code(tenant, "VIN1", at=NOON - timedelta(days=30))
    foreign = operations.create_claim_code(make_tenant(), "VIN1", at=NOON)
    of_another_vehicle = operations.create_claim_code(tenant, "VIN2", at=NOON)

    messages = set()
    for code in ("", "WRONG", "\ud800", expired, foreign, of_another_vehicle):
        with pytest.raises(ClaimInvalidError) as refused:
            guess(tenant, code=code)
        messages.add((refused.value.message, tuple(refused.value.details)))

    assert len(messages) == 1
    assert ClaimFailure.objects.filter(tenant=tenant, address=ADDRESS).count() == 6
    assert (Vehicle.objects.count(), Credential.objects.count()) == (0, 0)
    assert not ClaimCode.objects.exclude(used_at=None).exists()


def test_a_used_code_says_so_and_is_not_counted_as_a_guess():
    tenant = make_tenant()
    code = operations.create_claim_code(tenant, "VIN1", at=NOON)
    guess(tenant, code=code)

    with pytest.raises(ClaimUsedError):
        guess(tenant, code=code)

    assert (ClaimFailure.objects.count(), Credential.objects.count()) == (0, 1)


def test_after_ten_wrong_codes_an_address_waits_even_with_the_right_one():
    tenant = make_tenant()
    code = operations.create_claim_code(tenant, "VIN1", at=NOON)
    fail(tenant, 10)

    for tried in ("WRONG", code):
        with pytest.raises(ClaimRateLimitedError) as refused:
            guess(tenant, code=tried, at=NOON + timedelta(minutes=1))
        assert refused.value.retry_after_seconds == 540

    assert ClaimFailure.objects.count() == 10
    guess(tenant, code=code, at=NOON + timedelta(minutes=10))


def test_other_addresses_and_other_tenants_do_not_wait():
    tenant, other = make_tenant(), make_tenant()
    fail(tenant, 10)

    fail(tenant, 1, address="192.0.2.2")
    fail(other, 1)


def test_an_ipv6_sender_cannot_guess_on_from_the_next_address():
    tenant = make_tenant()
    for number in range(10):
        fail(tenant, 1, address=f"2001:db8::{number:x}")

    with pytest.raises(ClaimRateLimitedError):
        guess(tenant, address="2001:db8::ffff")


def test_beyond_the_tenants_limit_wrong_codes_are_not_even_recorded_and_right_ones_still_pass():
    tenant = make_tenant()
    code = operations.create_claim_code(tenant, "VIN1", at=NOON)
    ClaimFailure.objects.bulk_create(
        ClaimFailure(tenant=tenant, address=str(number), at=NOON) for number in range(rules.GUESSES_PER_TENANT)
    )

    with pytest.raises(ClaimRateLimitedError) as refused:
        guess(tenant, at=NOON + timedelta(minutes=2))

    assert refused.value.retry_after_seconds == 480
    assert ClaimFailure.objects.count() == rules.GUESSES_PER_TENANT
    guess(tenant, code=code, at=NOON + timedelta(minutes=2))


def test_expiry_deletes_what_no_longer_counts_and_keeps_the_rest():
    tenant = make_tenant()
    operations.create_claim_code(tenant, "OLD", at=NOON - timedelta(days=30))
    operations.create_claim_code(tenant, "NEW", at=NOON)
    fail(tenant, 1, at=NOON - timedelta(minutes=10))
    fail(tenant, 1, at=NOON - timedelta(minutes=9))

    assert operations.expire_claims(at=NOON) == 2
    assert operations.expire_claims(at=NOON) == 0

    assert ClaimCode.objects.get().vehicle_id == "NEW"
    assert ClaimFailure.objects.get().at == NOON - timedelta(minutes=9)
