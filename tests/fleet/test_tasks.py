from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from otaserver import clock
from otaserver.fleet import operations, rules, tasks
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
