from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from otaserver import clock
from otaserver.fleet import operations, rules, tasks
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.models import ClaimCode
from tests.factories import NOON, make_tenant

pytestmark = pytest.mark.django_db


def test_the_tick_run_twice_deletes_expired_claim_codes_only():
    tenant = make_tenant()
    operations.create_claim_code(tenant, "OLD", at=NOON - timedelta(days=31))
    operations.create_claim_code(tenant, "NEW", at=NOON)

    with clock.using(lambda: NOON):
        tasks.expire_claims()
        tasks.expire_claims()

    assert ClaimCode.objects.get().vehicle_id == "NEW"


def test_the_command_prints_a_claim_code():
    make_tenant("brand")
    printed = StringIO()

    with clock.using(lambda: NOON):
        call_command("create_claim", "Brand", "VIN1", days=2, stdout=printed)

    code = ClaimCode.objects.get()
    assert code.sha256 == rules.claim_code_sha256(printed.getvalue().strip())
    assert (code.tenant.name, code.vehicle_id, code.expires_at) == ("brand", "VIN1", NOON + timedelta(days=2))


@pytest.mark.parametrize(("tenant", "vehicle_id"), [("nobody", "VIN1"), ("brand", "VIN 1")])
def test_the_command_refuses_with_a_sentence_and_makes_no_code(tenant, vehicle_id):
    make_tenant("brand")

    with pytest.raises(CommandError, match=r"\.$"):
        call_command("create_claim", tenant, vehicle_id)

    assert not ClaimCode.objects.exists()


def test_the_tick_forgets_wishes_that_nobody_repeated_and_no_decision():
    tenant = make_tenant()
    long_ago = NOON - timedelta(days=30)
    for number, (state, requested_at) in enumerate(
        [("pending", long_ago), ("pending", NOON), ("rejected", long_ago), ("preauthorised", None)]
    ):
        AuthenticationSet.objects.create(
            tenant=tenant,
            identity={"vin": "a"},
            identity_sha256="a",
            key_sha256=str(number),
            state=state,
            created_at=long_ago,
            requested_at=requested_at,
        )

    with clock.using(lambda: NOON):
        tasks.forget_wishes()
        tasks.forget_wishes()

    assert sorted(AuthenticationSet.objects.values_list("key_sha256", flat=True)) == ["1", "2", "3"]
